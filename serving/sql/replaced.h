#include <stddef.h>
#include <stdint.h>

// Functions of DuckDB that ours take the place of (replaced_linux.go).
void *levenshtein_function(void);
void *jaro_function(void);
void *jaro_winkler_function(void);
void *string_split_function(void);
void *replace_function(void);

// jaro_similarity is that of two texts, or 0 where it is below a cutoff.
double jaro_similarity(const uint8_t *a, size_t a_n, const uint8_t *b, size_t b_n, double cutoff);
