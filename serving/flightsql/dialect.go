package flightsql

import (
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow/flight/flightsql"
)

// JDBC's driver for Flight SQL asks for all that a JDBC driver is asked for, and
// fails where the server says nothing. So everything is told, also what there
// is none of.

// Masks of which grammar, joins and so on there are, one bit for each.
const (
	groupByAny      = 1<<0 | 1<<1 // by what is not selected, and by more than that
	grammarCore     = 1<<0 | 1<<1 // minimum and core
	ansi92Entry     = 1 << 0
	joinsOuter      = 1<<1 | 1<<2               // limited and full
	subqueriesAll   = 1<<0 | 1<<1 | 1<<2 | 1<<3 // in comparisons, EXISTS, IN, and quantified
	unionsAll       = 1<<0 | 1<<1               // UNION and UNION ALL
	isolationNone   = 1 << 0
	resultsForward  = 1<<0 | 1<<1 // unspecified, forward only
	resultsReadOnly = 1<<0 | 1<<1 // unspecified, read only
	unlimited       = int64(0)    // or not known
)

// dialect is what the engine's SQL is like.
func dialect() map[flightsql.SqlInfo]any {
	out := map[flightsql.SqlInfo]any{
		flightsql.SqlInfoIdentifierCase:                                int32(flightsql.SqlCaseSensitivityCaseInsensitive),
		flightsql.SqlInfoQuotedIdentifierCase:                          int32(flightsql.SqlCaseSensitivityCaseInsensitive),
		flightsql.SqlInfoIdentifierQuoteChar:                           `"`,
		flightsql.SqlInfoExtraNameChars:                                "",
		flightsql.SqlInfoSearchStringEscape:                            `\`,
		flightsql.SqlInfoNullOrdering:                                  int32(flightsql.SqlNullOrderingSortAtEnd),
		flightsql.SqlInfoKeywords:                                      keywords,
		flightsql.SqlInfoNumericFunctions:                              numericFunctions,
		flightsql.SqlInfoStringFunctions:                               stringFunctions,
		flightsql.SqlInfoSystemFunctions:                               systemFunctions,
		flightsql.SqlInfoDateTimeFunctions:                             timeFunctions,
		flightsql.SqlInfoSupportsConvert:                               conversions(),
		flightsql.SqlInfoSupportedGroupBy:                              int32(groupByAny),
		flightsql.SqlInfoSupportedGrammar:                              int32(grammarCore),
		flightsql.SqlInfoANSI92SupportedLevel:                          int32(ansi92Entry),
		flightsql.SqlInfoOuterJoinsSupportLevel:                        int32(joinsOuter),
		flightsql.SqlInfoSupportedSubqueries:                           int32(subqueriesAll),
		flightsql.SqlInfoSupportedUnions:                               int32(unionsAll),
		flightsql.SqlInfoSupportedTransactionsIsolationlevels:          int32(isolationNone),
		flightsql.SqlInfoDefaultTransactionIsolation:                   int64(0), // none
		flightsql.SqlInfoSupportedResultSetTypes:                       int32(resultsForward),
		flightsql.SqlInfoSchemaTerm:                                    "pipeline",
		flightsql.SqlInfoCatalogTerm:                                   "",
		flightsql.SqlInfoProcedureTerm:                                 "",
		flightsql.SqlInfoMaxRowSizeIncludesBlobs:                       true,
		flightsql.SqlInfoFlightSqlServerTransactionTimeout:             int32(0),
		flightsql.SqlInfoSupportedConcurrenciesForResultSetUnspecified: int32(resultsReadOnly),
		flightsql.SqlInfoSupportedConcurrenciesForResultSetForwardOnly: int32(resultsReadOnly),
	}
	for _, id := range []flightsql.SqlInfo{flightsql.SqlInfoAllTablesAreASelectable, flightsql.SqlInfoSupportsColumnAliasing, flightsql.SqlInfoNullPlusNullIsNull, flightsql.SqlInfoSupportsTableCorrelationNames,
		flightsql.SqlInfoSupportsExpressionsInOrderBy, flightsql.SqlInfoSupportsOrderByUnrelated, flightsql.SqlInfoSupportsLikeEscapeClause, flightsql.SqlInfoSupportsNonNullableColumns,
		flightsql.SqlInfoCorrelatedSubqueriesSupported} {
		out[id] = true
	}
	for _, id := range []flightsql.SqlInfo{flightsql.SqlInfoDDLCatalog, flightsql.SqlInfoDDLSchema, flightsql.SqlInfoDDLTable, flightsql.SqlInfoSupportsDifferentTableCorrelationNames,
		flightsql.SqlInfoSupportsIntegrityEnhancementFacility, flightsql.SqlInfoCatalogAtStart, flightsql.SqlInfoSelectForUpdateSupported, flightsql.SqlInfoStoredProceduresSupported,
		flightsql.SqlInfoTransactionsSupported, flightsql.SqlInfoDataDefinitionCausesTransactionCommit, flightsql.SqlInfoDataDefinitionsInTransactionsIgnored, flightsql.SqlInfoBatchUpdatesSupported,
		flightsql.SqlInfoSavePointsSupported, flightsql.SqlInfoNamedParametersSupported, flightsql.SqlInfoLocatorsUpdateCopy, flightsql.SqlInfoStoredFunctionsUsingCallSyntaxSupported,
		flightsql.SqlInfoFlightSqlServerIngestTransactionsSupported} {
		out[id] = false
	}
	for _, id := range []flightsql.SqlInfo{flightsql.SqlInfoSchemasSupportedActions, flightsql.SqlInfoCatalogsSupportedActions, flightsql.SqlInfoSupportedPositionedCommands,
		flightsql.SqlInfoSupportedConcurrenciesForResultSetScrollSensitive, flightsql.SqlInfoSupportedConcurrenciesForResultSetScrollInsensitive} {
		out[id] = int32(0)
	}
	for _, id := range []flightsql.SqlInfo{flightsql.SqlInfoMaxBinaryLiteralLen, flightsql.SqlInfoMaxCharLiteralLen, flightsql.SqlInfoMaxColumnNameLen, flightsql.SqlInfoMaxColumnsInGroupBy,
		flightsql.SqlInfoMaxColumnsInIndex, flightsql.SqlInfoMaxColumnsInOrderBy, flightsql.SqlInfoMaxColumnsInSelect, flightsql.SqlInfoMaxColumnsInTable, flightsql.SqlInfoMaxConnections,
		flightsql.SqlInfoMaxCursorNameLen, flightsql.SqlInfoMaxIndexLen, flightsql.SqlInfoDBSchemaNameLen, flightsql.SqlInfoMaxProcedureNameLen, flightsql.SqlInfoMaxCatalogNameLen,
		flightsql.SqlInfoMaxRowSize, flightsql.SqlInfoMaxStatementLen, flightsql.SqlInfoMaxStatements, flightsql.SqlInfoMaxTableNameLen, flightsql.SqlInfoMaxTablesInSelect, flightsql.SqlInfoMaxUsernameLen} {
		out[id] = unlimited
	}
	return out
}

// Words that are keywords here and not in SQL:2003, and functions that JDBC
// has a name for, where the engine has them.
var (
	keywords = strings.Fields("ANALYZE ANTI ASOF ILIKE LIMIT MACRO OFFSET PIVOT POSITIONAL QUALIFY SAMPLE SEMI SUMMARIZE UNPIVOT")

	numericFunctions = strings.Fields("abs acos asin atan atan2 ceiling cos cot degrees exp floor log log10 mod pi power radians random round sign sin sqrt tan")
	stringFunctions  = strings.Fields("ascii char_length character_length chr concat left length lcase lower ltrim octet_length position repeat replace reverse right rtrim substring ucase upper")
	systemFunctions  = strings.Fields("coalesce ifnull nullif")
	timeFunctions    = strings.Fields("date_diff date_part date_trunc dayname dayofmonth dayofweek dayofyear hour minute month monthname quarter second week year")
)

// conversions are the types that CAST takes values from, and those that it
// makes of them.
func conversions() map[int32][]int32 {
	numbers := []int32{int32(flightsql.SqlConvertTinyInt), int32(flightsql.SqlConvertSmallInt), int32(flightsql.SqlConvertInteger), int32(flightsql.SqlConvertBigInt),
		int32(flightsql.SqlConvertReal), int32(flightsql.SqlConvertFloat), int32(flightsql.SqlConvertDecimal), int32(flightsql.SqlConvertNumeric)}
	text := int32(flightsql.SqlConvertVarchar)
	times := []int32{int32(flightsql.SqlConvertDate), int32(flightsql.SqlConvertTimestamp)}
	out := map[int32][]int32{text: slices.Concat(numbers, times, []int32{int32(flightsql.SqlConvertTime), int32(flightsql.SqlConvertVarbinary), text})}
	for _, n := range numbers {
		out[n] = append(slices.Clone(numbers), text)
	}
	for _, t := range times {
		out[t] = append(slices.Clone(times), text)
	}
	return out
}
