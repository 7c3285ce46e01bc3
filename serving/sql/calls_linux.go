package sql

/*
#cgo LDFLAGS: -Wl,--wrap=_ZN6duckdb18ExpressionExecutor7ExecuteERKNS_23BoundFunctionExpressionEPNS_15ExpressionStateEPKNS_15SelectionVectorEmRNS_6VectorE
#cgo LDFLAGS: -Wl,--wrap=_ZN6duckdb18ExpressionExecutor7ExecuteERKNS_19BoundCastExpressionEPNS_15ExpressionStateEPKNS_15SelectionVectorEmRNS_6VectorE
#include "calls.h"
*/
import "C"

import (
	"math"
	"strings"
)

// failWell are the functions that may fail wherever they ask for memory. That is
// where they are interrupted, and where one call is refused more memory than it
// may have (docs/proposals/035). Not so operators, the engine's own functions,
// whose Go cannot be thrown through, and these two families, on which DuckDB ends
// or waits for itself: what aggregates lists (list_aggregate, list_distinct, ...)
// destroys states that it has not made yet, and what sorts them (list_sort, ...)
// takes a lock twice. TestCallsFailAnywhere holds this against the engine.
var failWell = set(`
	array_append array_apply array_cat array_concat array_contains array_extract array_filter array_has array_has_all array_has_any
	array_indexof array_intersect array_pop_back array_pop_front array_position array_prepend array_push_back array_push_front array_reduce
	array_resize array_reverse array_select array_slice array_to_json array_transform array_value array_where array_zip
	apply filter flatten generate_series list_append list_apply list_cat list_concat list_contains list_element list_extract list_filter
	list_has list_has_all list_has_any list_indexof list_intersect list_pack list_position list_prepend list_reduce list_resize
	list_reverse list_select list_slice list_transform list_value list_where list_zip range reduce equi_width_bins

	bar base64 bin concat concat_ws damerau_levenshtein editdist3 encode format from_base64 from_binary from_hex hex icu_sort_key jaccard
	jaro_similarity jaro_winkler_similarity lcase left left_grapheme length_grapheme levenshtein lower lpad ltrim md5 nfc_normalize
	parse_dirname parse_dirpath parse_filename parse_path printf regexp_escape regexp_extract regexp_extract_all regexp_full_match
	regexp_matches regexp_replace regexp_split_to_array repeat replace reverse right right_grapheme rpad rtrim sha1 sha256 split split_part
	str_split str_split_regex string_split string_split_regex string_to_array strip_accents substr substring substring_grapheme to_base
	to_base64 to_binary to_hex translate trim ucase unbin unhex upper url_decode url_encode strftime strptime try_strptime

	map map_concat map_contains map_entries map_extract map_extract_value map_from_entries map_keys map_values element_at
	json json_array json_array_length json_exists json_extract json_extract_path json_extract_path_text json_extract_string json_keys
	json_object json_pretty json_quote json_transform json_transform_strict json_type json_valid json_value from_json from_json_strict
	row_to_json to_json struct_pack struct_insert struct_update`)

func init() {
	names := make([]string, 0, len(failWell))
	for n := range failWell {
		names = append(names, n)
	}
	C.calls_fail_well(C.CString("|" + strings.Join(names, "|") + "|"))
}

// failCallsFrom has calls fail from their check with this number on; none does
// with a negative one. It is for tests.
func failCallsFrom(check int) {
	if check < 0 {
		check = math.MaxInt64
	}
	C.calls_fail_from(C.int64_t(check))
}

// callsChecked is how many checks there were since.
func callsChecked() int { return int(C.calls_checked()) }
