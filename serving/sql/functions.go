package sql

import (
	"slices"
	"strings"

	"anabranch/fault"
	"anabranch/schemas"
)

// The functions that queries may call, by name. What is not here is refused:
// a function that a later DuckDB brings does nothing before somebody has
// looked at it. TestEveryFunctionIsDecided holds both lists against the engine.

// tableFunctions may stand in FROM.
var tableFunctions = set(`generate_series json_each json_tree range regexp_split_to_table repeat repeat_row unnest generate_subscripts`)

// plainFunctions compute from their arguments, or tell the time or chance.
var plainFunctions = set(`
	! !__postfix !~~ !~~* % & && * ** + - -> ->> / // <-> << <=> <@ > >= < <= = == != <> >> @ @> ^ ^@ | || ~ ~~ ~~* ~~~ and or not
	any_value approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_max_null arg_max_nulls_last arg_min arg_min_null
	arg_min_nulls_last argmax argmin array_agg avg bit_and bit_or bit_xor bitstring_agg bool_and bool_or corr count count_if count_star
	countif covar_pop covar_samp cume_dist dense_rank entropy favg fill first first_value fsum geomean geometric_mean group_concat grouping
	grouping_id histogram histogram_exact kahan_sum kurtosis kurtosis_pop lag last last_value lead list listagg mad max max_by mean median
	min min_by mode nth_value ntile percent_rank product quantile quantile_cont quantile_disc rank rank_dense regr_avgx regr_avgy
	regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy reservoir_quantile row_number sem skewness stddev stddev_pop
	stddev_samp string_agg sum sum_no_overflow sumkahan var_pop var_samp variance wavg weighted_avg

	abs acos acosh add age aggregate alias apply array_aggr array_aggregate array_append array_apply array_cat array_concat array_contains
	array_cosine_distance array_cosine_similarity array_cross_product array_distance array_distinct array_dot_product array_extract
	array_filter array_grade_up array_has array_has_all array_has_any array_indexof array_inner_product array_intersect array_length
	array_negative_dot_product array_negative_inner_product array_pop_back array_pop_front array_position array_prepend array_push_back
	array_push_front array_reduce array_resize array_reverse array_reverse_sort array_select array_slice array_sort array_to_json
	array_to_string array_to_string_comma_default array_transform array_unique array_value array_where array_zip ascii asin asinh atan
	atan2 atanh bar base64 bin bit_count bit_length bit_position bitstring can_cast_implicitly cardinality cbrt ceil ceiling century
	char_length character_length chr coalesce concat concat_ws constant_or_null contains cos cosh cot damerau_levenshtein date_add
	date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname dayofmonth dayofweek dayofyear days_in_month
	decade decode degrees divide editdist3 element_at encode ends_with enum_code enum_first enum_last enum_range enum_range_boundary epoch
	epoch_ms epoch_ns epoch_us equi_width_bins era error even exp factorial fdiv filter flatten floor fmod format formatreadabledecimalsize
	formatreadablesize format_bytes from_base64 from_binary from_hex from_json from_json_strict gamma gcd gen_random_uuid generate_series
	get_bit grade_up greatest greatest_common_divisor hamming hash hex hour if ifnull ilike_escape instr is_histogram_other_bin isfinite
	isinf isnan isodow isoyear jaccard jaro_similarity jaro_winkler_similarity json json_array json_array_length json_exists
	json_extract json_extract_path json_extract_path_text json_extract_string json_group_array json_group_object
	json_keys json_object json_pretty json_quote json_transform json_transform_strict json_type json_valid
	json_value julian last_day lcase lcm least least_common_multiple left left_grapheme len length length_grapheme levenshtein lgamma
	like_escape list_aggr list_aggregate list_any_value list_append list_apply list_approx_count_distinct list_avg list_bit_and
	list_bit_or list_bit_xor list_bool_and list_bool_or list_cat list_concat list_contains list_cosine_distance list_cosine_similarity
	list_count list_distance list_distinct list_dot_product list_element list_entropy list_extract list_filter list_first list_grade_up
	list_has list_has_all list_has_any list_histogram list_indexof list_inner_product list_intersect list_kurtosis list_kurtosis_pop
	list_last list_mad list_max list_median list_min list_mode list_negative_dot_product list_negative_inner_product list_pack
	list_position list_prepend list_product list_reduce list_resize list_reverse list_reverse_sort list_select list_sem list_skewness
	list_slice list_sort list_stddev_pop list_stddev_samp list_string_agg list_sum list_transform list_unique list_value list_var_pop
	list_var_samp list_where list_zip ln log log10 log2 lower lpad ltrim make_date make_time make_timestamp make_timestamp_ms
	make_timestamp_ns make_timestamptz map map_concat map_contains map_contains_entry map_contains_value map_entries map_extract
	map_extract_value map_from_entries map_keys map_values md5 md5_number md5_number_lower md5_number_upper microsecond millennium
	millisecond minute mismatches mod month monthname multiply nanosecond nextafter nfc_normalize normalized_interval not_ilike_escape
	not_like_escape nullif octet_length ord parse_dirname parse_dirpath parse_filename parse_formatted_bytes parse_path pi position pow
	power prefix printf quarter radians random range reduce regexp_escape regexp_extract regexp_extract_all regexp_full_match
	regexp_matches regexp_replace regexp_split_to_array repeat replace reverse right right_grapheme round round_even roundbankers row
	row_to_json rpad rtrim second set_bit sha1 sha256 sign signbit sin sinh split split_part sqrt starts_with str_split str_split_regex
	strftime string_split string_split_regex string_to_array strip_accents strlen strpos strptime struct_concat struct_contains
	struct_extract struct_extract_at struct_has struct_indexof struct_insert struct_keys struct_pack struct_position struct_update
	struct_values substr substring substring_grapheme subtract suffix switch tan tanh time_bucket timezone timezone_hour timezone_minute
	to_base to_base64 to_binary to_centuries to_days to_decades to_hex to_hours to_json to_microseconds to_millennia to_milliseconds
	to_minutes to_months to_quarters to_seconds to_timestamp to_weeks to_years translate trim trunc try_strptime typeof ucase unbin unhex
	unicode union_extract union_tag union_value unnest unpivot_list upper url_decode url_encode uuid uuid_extract_timestamp
	uuid_extract_version uuidv4 uuidv7 week weekday weekofyear xor year yearweek icu_sort_key

	ago current_date current_localtime current_localtimestamp get_current_time get_current_timestamp now today transaction_timestamp

	current_catalog current_database current_role current_schema current_schemas current_user session_user user version pg_typeof
	pg_size_pretty format_type format_pg_type map_to_pg_oid has_any_column_privilege has_column_privilege has_database_privilege
	has_foreign_data_wrapper_privilege has_function_privilege has_language_privilege has_schema_privilege has_sequence_privilege
	has_server_privilege has_table_privilege has_tablespace_privilege pg_has_role pg_collation_is_visible pg_conversion_is_visible
	pg_function_is_visible pg_opclass_is_visible pg_operator_is_visible pg_opfamily_is_visible pg_table_is_visible
	pg_ts_config_is_visible pg_ts_dict_is_visible pg_ts_parser_is_visible pg_ts_template_is_visible pg_type_is_visible
	pg_is_other_temp_schema pg_my_temp_schema col_description obj_description shobj_description inet_client_addr inet_client_port
	inet_server_addr inet_server_port`)

// refusals say by name what a function does that queries may not.
var refusals = map[string]map[string]bool{
	"reads files": set(`read_blob read_csv read_csv_auto read_duckdb read_json read_json_auto read_json_objects read_json_objects_auto
		read_ndjson read_ndjson_auto read_ndjson_objects read_parquet read_text glob sniff_csv parquet_bloom_probe parquet_file_metadata
		parquet_full_metadata parquet_kv_metadata parquet_metadata parquet_scan parquet_schema seq_scan arrow_scan arrow_scan_dumb`),
	"runs text as SQL": set(`query query_table json_execute_serialized_sql json_serialize_plan json_serialize_sql json_deserialize_sql
		histogram_values check_peg_parser sql_auto_complete`),
	"reads settings, secrets or the environment": set(`getenv current_setting getvariable which_secret pg_conf_load_time
		pg_postmaster_start_time current_query current_query_id current_connection_id current_transaction_id txid_current get_block_size
		in_search_path pragma_user_agent`),
	"goes as deep as its JSON is nested, which can end the whole program": set(`json_contains json_group_structure json_merge_patch json_structure`),
	"waits": set(`sleep_ms pg_sleep`),
	"changes the session or the engine": set(`setseed nextval currval write_log checkpoint force_checkpoint disable_logging
		disable_peg_parser disable_profiling enable_logging enable_peg_parser enable_profiling truncate_duckdb_logs`),
	"tells of the engine and not of views: see information_schema.tables and information_schema.columns": set(`
		duckdb_approx_database_count duckdb_columns duckdb_connection_count duckdb_constraints duckdb_coordinate_systems duckdb_databases
		duckdb_dependencies duckdb_extensions duckdb_external_file_cache duckdb_functions duckdb_indexes duckdb_keywords
		duckdb_log_contexts duckdb_logs duckdb_logs_parsed duckdb_memory duckdb_optimizers duckdb_prepared_statements
		duckdb_profiling_settings duckdb_schemas duckdb_secret_types duckdb_secrets duckdb_sequences duckdb_settings duckdb_table_sample
		duckdb_tables duckdb_temporary_files duckdb_types duckdb_variables duckdb_views pragma_collations pragma_database_size
		pragma_metadata_info pragma_platform pragma_show pragma_storage_info pragma_table_info pragma_version summary test_all_types
		test_vector_types icu_calendar_names pg_timezone_names pg_get_constraintdef pg_get_viewdef pg_get_expr stats vector_type
		parse_duckdb_log_message`),
	"is for inside the engine": set(`combine finalize create_sort_key cast_to_type get_type make_type replace_type remap_struct
		timetz_byte_comparable variant_bytes_to_variant variant_extract variant_normalize variant_to_parquet_variant variant_typeof
		st_asbinary st_astext st_aswkb st_aswkt st_crs st_geomfromwkb st_intersects_extent st_setcrs`),
}

// mayCall decides about a function, which stands in FROM or not.
func mayCall(function string, from bool, place string) error {
	function = strings.ToLower(function)
	if from && tableFunctions[function] || !from && plainFunctions[function] {
		return nil
	}
	for why, those := range refusals {
		if those[function] {
			return refused("function_refused", "%s() is not answered here%s: it %s", function, place, why)
		}
	}
	if strings.HasPrefix(function, "__internal_") || strings.HasPrefix(function, "icu_collate_") {
		return refused("function_refused", "%s() is not answered here%s: it is for inside the engine", function, place)
	}
	if strings.HasPrefix(function, "`") { // DuckDB takes a backtick for an operator
		return fault.WithHint(fault.WithCode(fault.New(fault.Invalid, "a backtick is not understood here%s", place), "syntax"), "texts stand in single quotes, names in double ones")
	}
	known := plainFunctions
	if from {
		known = tableFunctions
	}
	names := make([]string, 0, len(known))
	for n := range known {
		names = append(names, n)
	}
	err := fault.WithCode(fault.New(fault.Invalid, "there is no function %s%s", function, place), "unknown_function")
	if use := elsewhere[function]; use != "" {
		return fault.WithHint(err, "write %s", use)
	}
	if near := schemas.Nearest(function, names); near != "" {
		return fault.WithHint(err, "did you mean %s?", near)
	}
	return err
}

// structured are the functions whose second argument is a structure written as
// JSON, which DuckDB reads as deep as it is nested.
var structured = set(`from_json from_json_strict json_transform json_transform_strict`)

// mostNested is how deep such a structure may be.
const mostNested = 100

// structure judges the structure of a function that takes one.
func (w *walker) structure(function string, v map[string]any) {
	if !structured[strings.ToLower(function)] {
		return
	}
	children, _ := v["children"].([]any)
	if len(children) != 2 { // DuckDB will say so
		return
	}
	given, _ := children[1].(map[string]any)
	value, _ := given["value"].(map[string]any)
	text, ok := value["value"].(string)
	depth, deepest := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '[', '{', '(':
			depth++
			deepest = max(deepest, depth)
		case ']', '}', ')':
			depth--
		}
	}
	switch {
	case given["class"] != "CONSTANT" || !ok:
		w.refuse(refused("function_refused", "%s()%s takes its structure as a text that is written in the query", function, w.place(v)))
	case deepest > mostNested:
		w.refuse(refused("function_refused", "the structure of %s()%s is nested more than %d deep", function, w.place(v), mostNested))
	case strings.Contains(strings.ToLower(text), "variant"):
		w.refuse(noVariant(w.place(v)))
	}
}

// noVariant is about a type that values of JSON become as deep as they are
// nested, which can end the whole program.
func noVariant(place string) error {
	return refused("not_answered", "the type VARIANT is not answered here%s: use JSON", place)
}

// namesVariant reports whether a type is, or holds, VARIANT.
func namesVariant(kind any) bool {
	switch v := kind.(type) {
	case string:
		return strings.EqualFold(v, "VARIANT")
	case []any:
		return slices.ContainsFunc(v, namesVariant)
	case map[string]any:
		for _, child := range v {
			if namesVariant(child) {
				return true
			}
		}
	}
	return false
}

func refused(code, format string, args ...any) error {
	return fault.WithCode(fault.New(fault.Denied, format, args...), code)
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}
