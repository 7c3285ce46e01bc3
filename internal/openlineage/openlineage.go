// Package openlineage writes what a run read and wrote as run events of the
// OpenLineage specification 2-0-2, which catalogs of data understand.
package openlineage

import (
	"encoding/json"
	"time"
)

// Event is one transition of a run.
type Event struct {
	Type    string // one of the words below
	Time    time.Time
	Run     string // a UUID
	Job     Name
	RunInfo Facets
	JobInfo Facets
	Inputs  []Dataset
	Outputs []Dataset
}

// The types of events.
const (
	Start    = "START"
	Complete = "COMPLETE"
	Fail     = "FAIL"
	Abort    = "ABORT" // somebody ended it
)

// Name names a job or a dataset.
type Name struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// Dataset is something that is read or written.
type Dataset struct {
	Name
	Facets Facets
	Output Facets // of a dataset that is written
}

// Facets are facts, by their names in the specification.
type Facets map[string]Facet

// Facet is one fact.
type Facet struct {
	schema string
	facts  map[string]any
}

// The schemas that events follow.
const (
	base      = "https://openlineage.io/spec/"
	runEvent  = base + "2-0-2/OpenLineage.json#/$defs/RunEvent"
	customRun = base + "2-0-2/OpenLineage.json#/$defs/RunFacet"
)

// schemas are those of the facets that are made here.
var schemas = map[string]string{
	"errorMessage":      "1-0-1/ErrorMessageRunFacet.json",
	"processing_engine": "1-1-1/ProcessingEngineRunFacet.json",
	"jobType":           "2-0-4/JobTypeJobFacet.json",
	"schema":            "1-2-0/SchemaDatasetFacet.json",
	"columnLineage":     "1-2-0/ColumnLineageDatasetFacet.json",
	"version":           "1-0-1/DatasetVersionDatasetFacet.json",
	"outputStatistics":  "1-0-2/OutputStatisticsOutputDatasetFacet.json",
}

// Set adds a fact under its name in the specification; one that has no schema
// there is ours, and told as such.
func (f Facets) Set(name string, facts map[string]any) {
	schema, known := schemas[name]
	if schema = base + "facets/" + schema; !known {
		schema = customRun
	}
	f[name] = Facet{schema, facts}
}

// Field is one column of a dataset.
type Field struct {
	Name string `json:"name"`
	Type string `json:"type,omitempty"`
}

// Schema adds the columns of a dataset.
func (f Facets) Schema(fields []Field) { f.Set("schema", map[string]any{"fields": fields}) }

// InputField is a column that another one, or a whole dataset, depends on.
type InputField struct {
	Name
	Field           string           `json:"field"`
	Transformations []Transformation `json:"transformations,omitempty"`
}

// Transformation is how it depends on it.
type Transformation struct {
	Type    string `json:"type"` // DIRECT or INDIRECT
	Subtype string `json:"subtype,omitempty"`
}

// ColumnLineage adds where the columns of a dataset come from, and what
// decides about all of them.
func (f Facets) ColumnLineage(columns map[string][]InputField, dataset []InputField) {
	fields := map[string]any{}
	for name, inputs := range columns {
		if inputs == nil {
			inputs = []InputField{}
		}
		fields[name] = map[string]any{"inputFields": inputs}
	}
	facts := map[string]any{"fields": fields}
	if len(dataset) > 0 {
		facts["dataset"] = dataset
	}
	f.Set("columnLineage", facts)
}

// JSON renders the event. Producer is a URI that names this program.
func (e Event) JSON(producer string) ([]byte, error) {
	out := map[string]any{
		"eventType": e.Type, "eventTime": e.Time.UTC().Format(time.RFC3339Nano), "producer": producer, "schemaURL": runEvent,
		"run": map[string]any{"runId": e.Run, "facets": e.RunInfo.render(producer)},
		"job": map[string]any{"namespace": e.Job.Namespace, "name": e.Job.Name, "facets": e.JobInfo.render(producer)},
	}
	for key, sets := range map[string][]Dataset{"inputs": e.Inputs, "outputs": e.Outputs} {
		all := []any{}
		for _, d := range sets {
			one := map[string]any{"namespace": d.Namespace, "name": d.Name.Name, "facets": d.Facets.render(producer)}
			if len(d.Output) > 0 {
				one["outputFacets"] = d.Output.render(producer)
			}
			all = append(all, one)
		}
		out[key] = all
	}
	return json.Marshal(out)
}

func (f Facets) render(producer string) map[string]any {
	out := map[string]any{}
	for name, facet := range f {
		one := map[string]any{"_producer": producer, "_schemaURL": facet.schema}
		for k, v := range facet.facts {
			one[k] = v
		}
		out[name] = one
	}
	return out
}
