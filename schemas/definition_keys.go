package schemas

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"anabranch/event"
)

// takenNames are schemas and databases that the engine of queries, or clients,
// have already.
var takenNames = []string{"main", "memory", "temp", "system", "information_schema", "pg_catalog", "public"}

// pipeline reads the keys of pipeline.yaml.
func (r *definitionReader) pipeline(root ast.Node) {
	keys := r.mapping(root, pipelineFile, "pipeline", "description", "source", "schema", "event", "partitions", "lateness", "quality", "batch", "ingest", "lanes", "references")
	if keys == nil {
		return
	}
	if e, ok := keys["pipeline"]; ok {
		if r.d.Name = r.name(e.value, "a pipeline"); slices.Contains(takenNames, r.d.Name) {
			r.at(e.value.GetToken(), fmt.Sprintf("a pipeline cannot be called %q", r.d.Name), "in SQL that is something else, and queries name pipelines as schemas")
		}
	} else {
		r.at(root.GetToken(), `the key "pipeline" is missing`, "it names the pipeline")
	}
	if e, ok := keys["description"]; ok {
		r.d.Description, _ = r.text(e.value, "the description")
	}
	if e, ok := keys["source"]; ok {
		if f, ok := r.mapping(e.value, "source", "format")["format"]; ok {
			r.format(f.value)
		}
	}
	r.schema(keys)
	if e, ok := keys["event"]; ok {
		r.event(e)
	} else {
		r.at(root.GetToken(), `the key "event" is missing`, "it tells the id, the time and the key of an event")
	}
	if e, ok := keys["partitions"]; ok {
		r.d.Partitions = r.whole(e.value, "the number of partitions", 1, MaxPartitions)
	}
	if e, ok := keys["lateness"]; ok {
		r.d.Lateness = r.duration(e.value, "lateness")
	}
	if e, ok := keys["quality"]; ok {
		r.quality(e)
	}
	if e, ok := keys["batch"]; ok {
		in := r.mapping(e.value, "batch", "schedule", "publish", "canary", "audit", "retention")
		if s, ok := in["schedule"]; ok {
			r.d.Schedule = r.schedule(s.value)
		}
		if s, ok := in["audit"]; ok {
			r.audits(s.value)
		}
		if s, ok := in["retention"]; ok {
			r.retention(s.value)
		}
		if s, ok := in["publish"]; ok {
			r.publish(s.value)
		}
		if s, ok := in["canary"]; ok {
			r.canary(s.value)
		}
	}
	if e, ok := keys["ingest"]; ok {
		in := r.mapping(e.value, "ingest", "linger", "frame_bytes")
		if e, ok := in["linger"]; ok {
			r.d.Linger = r.duration(e.value, "linger")
		}
		if e, ok := in["frame_bytes"]; ok {
			r.d.FrameBytes = r.size(e.value, "frame_bytes", minFrameBytes, maxFrameBytes)
		}
	}
	if e, ok := keys["lanes"]; ok {
		r.lanes(e)
	}
	if e, ok := keys["references"]; ok {
		r.references(e)
	}
}

func (r *definitionReader) format(n ast.Node) {
	s, ok := r.text(n, "the format")
	if !ok {
		return
	}
	var names []string
	for _, f := range []Format{NDJSON, JSONArray, CSV} {
		if f.String() == s {
			r.d.Format = f
			return
		}
		names = append(names, f.String())
	}
	r.at(n.GetToken(), fmt.Sprintf("there is no format %q", s), DidYouMean(s, names))
}

// schema reads the schema's file: schema: name, or {file: name, version: n}.
func (r *definitionReader) schema(keys map[string]entry) {
	file, version := "schema.avsc", 1
	if e, ok := keys["schema"]; ok {
		if _, scalar := e.value.(ast.ScalarNode); scalar {
			file, _ = r.text(e.value, "the schema")
		} else {
			in := r.mapping(e.value, "schema", "file", "version")
			if e, ok := in["file"]; ok {
				file, _ = r.text(e.value, "the schema")
			}
			if e, ok := in["version"]; ok {
				version = r.whole(e.value, "the version of the schema", 1, 1<<20)
			}
		}
	}
	text, ok := r.read(file)
	if !ok {
		return
	}
	s, err := Parse(uint32(version), []byte(text))
	if err != nil {
		p := Problem{Message: err.Error()}
		if known, ok := err.(*Problem); ok { //nolint:errorlint // Parse returns it unwrapped
			p = *known
		}
		p.File = file
		r.problem(p)
		return
	}
	r.d.Schema = s
}

func (r *definitionReader) event(all entry) {
	keys := r.mapping(all.value, "event", "id", "time", "key")
	if keys == nil {
		return
	}
	id := &r.d.Identity
	if e, ok := keys["id"]; ok {
		in := r.mapping(e.value, "id", "content_hash", "field", "fields")
		if len(in) > 1 {
			r.at(e.key, "an id is one of content_hash, field and fields", "keep one of them")
		}
		for kind, e := range in {
			id.Content = kind == "content_hash"
			id.Fields = r.fields(e, kind != "field")
		}
		if in != nil && len(in) == 0 && len(r.problems) == 0 {
			r.at(e.key, "the id has no fields", "write id: {field: name}")
		}
	} else {
		r.at(all.key, `the key "id" is missing`, "write id: {field: name}, or id: {content_hash: [names]} when events have no id of their own")
	}
	if e, ok := keys["time"]; ok {
		r.time(e)
	} else {
		r.at(all.key, `the key "time" is missing`, "name the field that tells when the event happened")
	}
	if e, ok := keys["key"]; ok {
		id.Key = r.fields(e, true)
	}
}

// fields reads names of fields of the schema.
func (r *definitionReader) fields(e entry, many bool) []string {
	var names []string
	nodes := r.list(e.value)
	if len(nodes) == 0 || len(nodes) > 1 && !many {
		r.at(e.key, fmt.Sprintf("%s has %d fields", e.key.Value, len(nodes)), "name one; for more, write fields: [a, b]")
	}
	for _, n := range nodes {
		name, ok := r.text(n, "a field")
		if !ok {
			continue
		}
		if s := r.d.Schema; s != nil && s.shape.Index(name) < 0 {
			r.at(n.GetToken(), fmt.Sprintf("the schema has no field %q", name), DidYouMean(name, s.shape.Names()))
		} else if slices.Contains(names, name) {
			r.at(n.GetToken(), fmt.Sprintf("the field %q is named twice", name), "")
		}
		names = append(names, name)
	}
	return names
}

func (r *definitionReader) time(e entry) {
	names := r.fields(e, false)
	if len(names) != 1 {
		return
	}
	r.d.Identity.Time = names[0]
	if r.d.Schema == nil {
		return
	}
	if i := r.d.Schema.shape.Index(names[0]); i >= 0 {
		if t := r.d.Schema.shape.Fields[i].Type; t.Kind != event.Timestamp && t.Kind != event.Date {
			r.at(e.value.GetToken(), fmt.Sprintf("the event time %q is %s", names[0], t), "use a field that is a timestamp or a date")
		}
	}
}

func (r *definitionReader) quality(e entry) {
	for _, n := range r.list(e.value) {
		keys := r.mapping(n, "a quality rule", "code", "reject", "filter", "message")
		if keys == nil {
			continue
		}
		rule := Rule{File: r.file}
		if e, ok := keys["code"]; ok {
			rule.Code = r.name(e.value, "a rule")
			if slices.ContainsFunc(r.d.Rules, func(o Rule) bool { return o.Code == rule.Code }) {
				r.at(e.value.GetToken(), fmt.Sprintf("the code %q is used twice", rule.Code), "")
			}
			if slices.Contains(codes, rule.Code) {
				r.at(e.value.GetToken(), fmt.Sprintf("the code %q is one of the system's own", rule.Code), "choose another")
			}
		} else {
			r.at(n.GetToken(), "the rule has no code", "add code: name")
		}
		reject, rejects := keys["reject"]
		filter, filters := keys["filter"]
		switch {
		case rejects == filters:
			r.at(n.GetToken(), "a rule has one of reject and filter", "reject: makes dead letters, filter: leaves events out of the views")
			continue
		case rejects:
			rule.Action = ActionDeadLetter
		default:
			rule.Action, reject = ActionFilter, filter
		}
		rule.SQL, _ = r.text(reject.value, "a rule")
		rule.Line, rule.Column = r.begins(reject.value)
		if strings.TrimSpace(rule.SQL) == "" {
			r.at(reject.key, "the rule is empty", "write a condition in SQL that is true for the events it is about")
		}
		if e, ok := keys["message"]; ok {
			rule.Message, _ = r.text(e.value, "the message")
		}
		r.d.Rules = append(r.d.Rules, rule)
	}
}

// codes are those that the decoder gives.
var codes = []string{
	CodeMalformed, CodeWrongType, CodeMissingField, CodeMissingID, CodeBadDate,
	CodeBadDecimal, CodeOutOfRange, CodeBadUTF8, CodeDuplicateKey, CodeTooLong,
}

func (r *definitionReader) lanes(e entry) {
	r.d.Lanes = nil
	for _, n := range r.list(e.value) {
		keys := r.mapping(n, "a lane", "name", "priority")
		if keys == nil {
			continue
		}
		var l Lane
		if e, ok := keys["name"]; ok {
			l.Name = r.name(e.value, "a lane")
			if slices.ContainsFunc(r.d.Lanes, func(o Lane) bool { return o.Name == l.Name }) {
				r.at(e.value.GetToken(), fmt.Sprintf("the lane %q is there twice", l.Name), "")
			}
		} else {
			r.at(n.GetToken(), "the lane has no name", "add name: live")
		}
		if e, ok := keys["priority"]; ok {
			l.Priority = r.whole(e.value, "the priority", 0, 1000)
		}
		r.d.Lanes = append(r.d.Lanes, l)
	}
}
