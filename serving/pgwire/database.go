package pgwire

import (
	"slices"
	"strings"

	"anabranch/fault"
)

// Database is the name of the one database there is.
const Database = "anabranch"

// chooseDatabase takes the database that a client asks for. There is only one;
// by the name of a pipeline it is entered there, and by the names that clients
// ask for when nobody told them one it is entered too.
func (ses *session) chooseDatabase() error {
	var pipelines []string
	for _, t := range ses.tables() {
		if !slices.Contains(pipelines, t.Schema) {
			pipelines = append(pipelines, t.Schema)
		}
	}
	switch {
	case slices.Contains(pipelines, ses.database):
		ses.values["search_path"] = quoteName(ses.database)
	case ses.database == Database, ses.database == "postgres", ses.database == ses.user:
	default:
		return fault.WithCode(fault.New(fault.NotFound, "there is no database %q: connect to %s, or to one of the pipelines %s", ses.database, Database, strings.Join(pipelines, ", ")), "no_database")
	}
	return nil
}
