// Package schemas knows the shapes of events: how a schema is read from Avro
// text, how JSON and CSV become columns of that schema, how columns travel in
// frames (Arrow) and rest in files (Parquet), how one version of a schema
// reads what another has written, and how a pipeline is described.
//
// Everything here is columns in, columns out. Rows exist only as text, on
// their way in.
package schemas
