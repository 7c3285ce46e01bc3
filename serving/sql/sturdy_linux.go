package sql

/*
#cgo LDFLAGS: -Wl,--wrap=_ZN6duckdb9ErrorDataC1ERKSt9exception
#cgo LDFLAGS: -Wl,--wrap=_ZN6duckdb23PhysicalStreamingWindow19IsStreamingFunctionERNS_13ClientContextERNS_10unique_ptrINS_10ExpressionESt14default_deleteIS4_ELb1EEE
*/
import "C"
