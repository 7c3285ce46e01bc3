package sql

/*
#cgo LDFLAGS: -Wl,--wrap=_ZN6duckdb14ScalarFunctionC1ENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEENS_6vectorINS_11LogicalTypeELb1ESaIS8_EEES8_St8functionIFvRNS_9DataChunkERNS_15ExpressionStateERNS_6VectorEEEPFNS_10unique_ptrINS_12FunctionDataESt14default_deleteISL_ELb1EEERNS_13ClientContextERS0_RNS7_INSK_INS_10ExpressionESM_ISS_ELb1EEELb1ESaISU_EEEEPFSO_RNS_23ScalarFunctionBindInputESR_SX_EPFNSK_INS_14BaseStatisticsESM_IS14_ELb1EEESQ_RNS_23FunctionStatisticsInputEEPFNSK_INS_18FunctionLocalStateESM_IS1B_ELb1EEESF_RKNS_23BoundFunctionExpressionEPSL_ES8_NS_17FunctionStabilityENS_20FunctionNullHandlingEPFS8_SQ_RKSA_mE
#cgo LDFLAGS: -Wl,--wrap=_ZN6duckdb12FindStrInStrEPKhmS1_m -Wl,--wrap=_ZN6duckdb12FindStrInStrERKNS_8string_tES2_
#cgo LDFLAGS: -Wl,--wrap=_ZN10duckdb_re24Prog9SearchNFAERKNS_11StringPieceES3_NS0_6AnchorENS0_9MatchKindEPS1_i
#cgo LDFLAGS: -Wl,--wrap=_ZN10duckdb_re24Prog13SearchOnePassERKNS_11StringPieceES3_NS0_6AnchorENS0_9MatchKindEPS1_i
#cgo LDFLAGS: -Wl,--wrap=_ZN10duckdb_re24Prog14SearchBitStateERKNS_11StringPieceES3_NS0_6AnchorENS0_9MatchKindEPS1_i
#cgo LDFLAGS: -Wl,--wrap=_ZN10duckdb_re24Prog9SearchDFAERKNS_11StringPieceES3_NS0_6AnchorENS0_9MatchKindEPS1_PbPNS_10SparseSetTIvEE
#cgo LDFLAGS: -Wl,--wrap=_ZN6duckdb18ExpressionExecutor7ExecuteERKNS_10ExpressionEPNS_15ExpressionStateEPKNS_15SelectionVectorEmRNS_6VectorE
#cgo LDFLAGS: -Wl,--wrap=_ZN6duckdb7Planner10CreatePlanENS_10unique_ptrINS_12SQLStatementESt14default_deleteIS2_ELb1EEE
#cgo LDFLAGS: -Wl,--wrap=_ZN6duckdb18ExpressionExecutor17TryEvaluateScalarERNS_13ClientContextERKNS_10ExpressionERNS_5ValueE
#cgo LDFLAGS: -Wl,--wrap=_ZN6duckdb16VectorOperations4HashERNS_6VectorES2_m -Wl,--wrap=_ZN6duckdb16VectorOperations11CombineHashERNS_6VectorES2_m
#cgo LDFLAGS: -Wl,--wrap=_ZNK6duckdb16PhysicalOperator7GetDataERNS_16ExecutionContextERNS_9DataChunkERNS_19OperatorSourceInputE
#cgo LDFLAGS: -Wl,--wrap=_ZNK6duckdb23CachingPhysicalOperator7ExecuteERNS_16ExecutionContextERNS_9DataChunkES4_RNS_19GlobalOperatorStateERNS_13OperatorStateE
#cgo LDFLAGS: -Wl,--wrap=_ZNK6duckdb20ColumnDataCollection4ScanERNS_19ColumnDataScanStateERNS_9DataChunkE
#cgo LDFLAGS: -Wl,--wrap=_ZN6duckdb10RowMatcher5MatchERNS_9DataChunkERKNS_6vectorINS_21TupleDataVectorFormatELb1ESaIS4_EEERNS_15SelectionVectorEmRNS_6VectorEPS9_Rm
#cgo LDFLAGS: -Wl,--wrap=_ZNK6duckdb14WindowExecutor8EvaluateERNS_16ExecutionContextEmRNS_9DataChunkERNS_6VectorERNS_17OperatorSinkInputE
#cgo LDFLAGS: -Wl,--wrap=_ZN6duckdb16WindowCollection7CombineERKSt13unordered_setImSt4hashImESt8equal_toImESaImEE -Wl,--wrap=_ZN6duckdb14ArenaAllocatorC1ERNS_9AllocatorEm
#cgo LDFLAGS: -Wl,--wrap=_ZN6duckdb16WindowCollectionC1ERNS_13BufferManagerEmRKNS_6vectorINS_11LogicalTypeELb1ESaIS4_EEE -Wl,--wrap=_ZN6duckdb13TaskScheduler15NumberOfThreadsEv
#cgo LDFLAGS: -Wl,--wrap=_ZN6duckdb8Interval3AddENS_11timestamp_tENS_10interval_tE
#cgo LDFLAGS: -Wl,--wrap=_ZN6duckdb11ICUDateFunc3AddERNS_10TZCalendarENS_11timestamp_tENS_10interval_tE
#cgo LDFLAGS: -Wl,--wrap=_ZN6duckdb12utf8proc_NFCEPKhl -Wl,--wrap=_ZN6duckdb23utf8proc_remove_accentsEPKhl
#cgo LDFLAGS: -Wl,--wrap=_ZN10duckdb_fmt2v68internal12format_floatIdEEiT_iNS1_11float_specsERNS1_6bufferIcEE
#cgo LDFLAGS: -Wl,--wrap=_ZN10duckdb_fmt2v68internal12format_floatIeEEiT_iNS1_11float_specsERNS1_6bufferIcEE
#cgo LDFLAGS: -Wl,--wrap=_ZN10duckdb_fmt2v68internal14snprintf_floatIdEEiT_iNS1_11float_specsERNS1_6bufferIcEE
#cgo LDFLAGS: -Wl,--wrap=_ZN10duckdb_fmt2v68internal14snprintf_floatIeEEiT_iNS1_11float_specsERNS1_6bufferIcEE
#cgo LDFLAGS: -Wl,--wrap=_ZN6duckdb3Bit9BitStringERKNS_8string_tEmRS1_ -Wl,--wrap=_ZN6duckdb3Bit15ExtendBitStringERKNS_8string_tEmRS1_
#cgo LDFLAGS: -Wl,--wrap=_ZN10duckdb_re23RE2C1ERKNS_11StringPieceE -Wl,--wrap=_ZN10duckdb_re23RE2C1ERKNS_11StringPieceERKNS0_7OptionsE
#cgo LDFLAGS: -Wl,--wrap=_ZN6duckdb18ExpressionExecutor14EvaluateScalarERNS_13ClientContextERKNS_10ExpressionEb -Wl,--wrap=_ZNK6duckdb5Value8GetValueIdEET_v
#include "calls.h"
#include "replaced.h"
*/
import "C"

import (
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"anabranch/event"
)

// tooLong is how the message begins that refuses a call for what it would have
// to do.
const tooLong = C.CALL_TOO_LONG

// replaceFunctions puts ours in the place of functions of DuckDB's that work for
// minutes on one pair of texts, and cannot be interrupted (docs/proposals/036).
// Those that have collations are replaced where DuckDB makes its own
// (likes_linux.c).
func replaceFunctions(c bindings.Connection) error {
	text, number := event.Type{Kind: event.String}, event.Type{Kind: event.Float64}
	texts := func() bindings.LogicalType {
		t := logicalType(text)
		defer bindings.DestroyLogicalType(&t)
		return bindings.CreateListType(t)
	}
	plain := func(t bindings.Type) func() bindings.LogicalType {
		return func() bindings.LogicalType { return bindings.CreateLogicalType(t) }
	}
	for _, f := range []struct {
		names     []string
		code      unsafe.Pointer
		result    func() bindings.LogicalType
		arguments []event.Type
	}{
		{[]string{"levenshtein", "editdist3"}, C.levenshtein_function(), plain(bindings.TypeBigInt), []event.Type{text, text}},
		{[]string{"jaro_similarity"}, C.jaro_function(), plain(bindings.TypeDouble), []event.Type{text, text}},
		{[]string{"jaro_similarity"}, C.jaro_function(), plain(bindings.TypeDouble), []event.Type{text, text, number}},
		{[]string{"jaro_winkler_similarity"}, C.jaro_winkler_function(), plain(bindings.TypeDouble), []event.Type{text, text}},
		{[]string{"jaro_winkler_similarity"}, C.jaro_winkler_function(), plain(bindings.TypeDouble), []event.Type{text, text, number}},
		{[]string{"string_split", "str_split", "string_to_array", "split"}, C.string_split_function(), texts, []event.Type{text, text}},
		{[]string{"replace"}, C.replace_function(), plain(bindings.TypeVarchar), []event.Type{text, text, text}},
	} {
		for _, name := range f.names {
			if err := ownFunction(c, name, f.code, f.result(), f.arguments...); err != nil {
				return err
			}
		}
	}
	return nil
}
