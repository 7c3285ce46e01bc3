#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calls.h"
#include "engine.h"
#include "weigh.h"
#include "replaced.h"

// What functions of DuckDB call that works long, or without a bound.

// Times of a list are counted before they are made: Interval::Add, and
// ICUDateFunc::Add where they have a time zone.
typedef struct {
	int32_t months, days;
	int64_t micros;
} interval;

#define ADD "_ZN6duckdb8Interval3AddENS_11timestamp_tENS_10interval_tE"
#define ADD_ZONED "_ZN6duckdb11ICUDateFunc3AddERNS_10TZCalendarENS_11timestamp_tENS_10interval_tE"

extern int64_t real_add(int64_t time, interval more) __asm__("__real_" ADD);
int64_t wrap_add(int64_t time, interval more) __asm__("__wrap_" ADD);

int64_t wrap_add(int64_t time, interval more) {
	call_stepped(64);
	return real_add(time, more);
}

extern int64_t real_add_zoned(void *calendar, int64_t time, interval more) __asm__("__real_" ADD_ZONED);
int64_t wrap_add_zoned(void *calendar, int64_t time, interval more) __asm__("__wrap_" ADD_ZONED);

int64_t wrap_add_zoned(void *calendar, int64_t time, interval more) {
	call_stepped(256);
	return real_add_zoned(calendar, time, more);
}

// The names nearest to one that is not there are found by their similarity. It is
// a template of DuckDB's, of which the linker takes this one.
double jaro_of(const char *a, const char *a_end, const char *b, const char *b_end, double cutoff)
	__asm__("_ZN19duckdb_jaro_winkler6detail15jaro_similarityIPKcS3_EEdT_S4_T0_S5_d");

double jaro_of(const char *a, const char *a_end, const char *b, const char *b_end, double cutoff) {
	return jaro_similarity((const uint8_t *)a, a_end - a, (const uint8_t *)b, b_end - b, cutoff);
}

// utf8proc puts marks behind a letter in order by changing neighbours. Unicode's
// stream-safe texts have no more than 30 (UAX #15).
enum { most_marks = 10000 };

typedef struct {
	int16_t category, combining_class;
} property;

extern const property *property_of(int32_t point) __asm__("_ZN6duckdb21utf8proc_get_propertyEi");
extern ptrdiff_t next_point(const uint8_t *at, ptrdiff_t n, int32_t *point) __asm__("_ZN6duckdb16utf8proc_iterateEPKhlPi");

static void bound_marks(const uint8_t *at, ptrdiff_t n) {
	int32_t point;
	int marks = 0;
	for (ptrdiff_t taken; n > most_marks && (taken = next_point(at, n, &point)) > 0; at += taken, n -= taken) {
		marks = property_of(point)->combining_class ? marks + 1 : 0;
		if (marks > most_marks)
			call_refuse(CALL_TOO_LONG ": a letter has more than %d marks", most_marks);
	}
}

#define NFC "_ZN6duckdb12utf8proc_NFCEPKhl"
#define WITHOUT_ACCENTS "_ZN6duckdb23utf8proc_remove_accentsEPKhl"

extern uint8_t *real_nfc(const uint8_t *at, ptrdiff_t n) __asm__("__real_" NFC);
uint8_t *wrap_nfc(const uint8_t *at, ptrdiff_t n) __asm__("__wrap_" NFC);

uint8_t *wrap_nfc(const uint8_t *at, ptrdiff_t n) {
	bound_marks(at, n);
	return real_nfc(at, n);
}

extern uint8_t *real_without_accents(const uint8_t *at, ptrdiff_t n) __asm__("__real_" WITHOUT_ACCENTS);
uint8_t *wrap_without_accents(const uint8_t *at, ptrdiff_t n) __asm__("__wrap_" WITHOUT_ACCENTS);

uint8_t *wrap_without_accents(const uint8_t *at, ptrdiff_t n) {
	bound_marks(at, n);
	return real_without_accents(at, n);
}

// printf and format have the C library write as many digits as they are asked for,
// in memory that nobody counts. A double has 1,074 behind the point.
enum { most_digits = 10000 };

static void bound_digits(int precision) {
	if (precision > most_digits)
		call_refuse(CALL_TOO_LONG ": a number has %d digits behind the point, and %d are the most", precision, most_digits);
}

#define DIGITS(real, wrap, number, symbol) \
	extern int real(number n, int precision, uint64_t specs, void *to) __asm__("__real_" symbol); \
	int wrap(number n, int precision, uint64_t specs, void *to) __asm__("__wrap_" symbol); \
	int wrap(number n, int precision, uint64_t specs, void *to) { \
		bound_digits(precision); \
		return real(n, precision, specs, to); \
	}

DIGITS(real_digits, wrap_digits, double, "_ZN10duckdb_fmt2v68internal12format_floatIdEEiT_iNS1_11float_specsERNS1_6bufferIcEE")
DIGITS(real_long_digits, wrap_long_digits, long double, "_ZN10duckdb_fmt2v68internal12format_floatIeEEiT_iNS1_11float_specsERNS1_6bufferIcEE")
DIGITS(real_c_digits, wrap_c_digits, double, "_ZN10duckdb_fmt2v68internal14snprintf_floatIdEEiT_iNS1_11float_specsERNS1_6bufferIcEE")
DIGITS(real_c_long_digits, wrap_c_long_digits, long double, "_ZN10duckdb_fmt2v68internal14snprintf_floatIeEEiT_iNS1_11float_specsERNS1_6bufferIcEE")

// Bit::BitString and ExtendBitString set bit by bit.
enum { most_bits = 1 << 26 };

static void bound_bits(uint64_t n) {
	if (n > most_bits)
		call_refuse(CALL_TOO_LONG ": a text of %llu bits, and %d are the most", (unsigned long long)n, most_bits);
}

#define BITS "_ZN6duckdb3Bit9BitStringERKNS_8string_tEmRS1_"
#define EXTENDED "_ZN6duckdb3Bit15ExtendBitStringERKNS_8string_tEmRS1_"

extern void real_bits(const string *of, uint64_t n, string *to) __asm__("__real_" BITS);
void wrap_bits(const string *of, uint64_t n, string *to) __asm__("__wrap_" BITS);

void wrap_bits(const string *of, uint64_t n, string *to) {
	bound_bits(n);
	real_bits(of, n, to);
}

extern void real_extended(const string *of, uint64_t n, string *to) __asm__("__real_" EXTENDED);
void wrap_extended(const string *of, uint64_t n, string *to) __asm__("__wrap_" EXTENDED);

void wrap_extended(const string *of, uint64_t n, string *to) {
	bound_bits(n);
	real_extended(of, n, to);
}

// RE2 takes long to read a long regular expression.
enum { most_expression = 1 << 15 };

static void bound_expression(const piece *of) {
	if (of->n > most_expression)
		call_refuse(CALL_TOO_LONG ": a regular expression of %zu bytes, and %d are the most", of->n, most_expression);
}

#define EXPRESSION "_ZN10duckdb_re23RE2C1ERKNS_11StringPieceE"
#define EXPRESSION_WITH EXPRESSION "RKNS0_7OptionsE"

extern void real_expression(void *re, const piece *of) __asm__("__real_" EXPRESSION);
void wrap_expression(void *re, const piece *of) __asm__("__wrap_" EXPRESSION);

void wrap_expression(void *re, const piece *of) {
	bound_expression(of);
	real_expression(re, of);
}

extern void real_expression_with(void *re, const piece *of, const void *options) __asm__("__real_" EXPRESSION_WITH);
void wrap_expression_with(void *re, const piece *of, const void *options) __asm__("__wrap_" EXPRESSION_WITH);

void wrap_expression_with(void *re, const piece *of, const void *options) {
	bound_expression(of);
	real_expression_with(re, of, options);
}

// A quantile takes a pass over its values, also each of a list of them, which is asked
// for its numbers, each three times, when the function is bound.
enum { most_quantiles = 1000, most_numbers = 3 * most_quantiles + 100 };

static _Thread_local uint64_t numbers; // that were asked for since a constant was computed

// ExpressionExecutor::EvaluateScalar, and Value::GetValue of a double.
#define SCALAR "_ZN6duckdb18ExpressionExecutor14EvaluateScalarERNS_13ClientContextERKNS_10ExpressionEb"
#define DOUBLE "_ZNK6duckdb5Value8GetValueIdEET_v"

// What is returned as a Value is: of its size.
typedef struct {
	char of[64];
} value;

extern value real_scalar(void *query, const void *expression, bool unfolded) __asm__("__real_" SCALAR);
value wrap_scalar(void *query, const void *expression, bool unfolded) __asm__("__wrap_" SCALAR);

value wrap_scalar(void *query, const void *expression, bool unfolded) {
	numbers = 0;
	return real_scalar(query, expression, unfolded);
}

extern double real_double(const value *of) __asm__("__real_" DOUBLE);
double wrap_double(const value *of) __asm__("__wrap_" DOUBLE);

double wrap_double(const value *of) {
	if (weigh_planning() && ++numbers > most_numbers)
		call_refuse(CALL_TOO_LONG ": more than %d quantiles", most_quantiles);
	return real_double(of);
}
