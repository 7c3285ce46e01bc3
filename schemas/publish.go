package schemas

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Publish says when a run that changes what was published before may publish
// by itself.
type Publish struct {
	Mode  string
	Bound float64 // of PublishWithin: the largest change, as a share of 1
}

// The modes of Publish.
const (
	PublishAuto     = ""         // always
	PublishWithin   = "within"   // when nothing changes by more than the bound
	PublishApproval = "approval" // never: somebody has to approve
)

// String returns the policy as pipeline.yaml has it.
func (p Publish) String() string {
	switch p.Mode {
	case PublishWithin:
		return "within " + Share(p.Bound)
	case PublishApproval:
		return "approval"
	}
	return "auto"
}

// publish reads batch.publish: auto, approval, or within 1%.
func (r *definitionReader) publish(n ast.Node) {
	s, ok := r.text(n, "publish")
	if !ok {
		return
	}
	percent, within := strings.CutPrefix(s, "within ")
	switch {
	case s == "auto":
	case s == "approval":
		r.d.Publish.Mode = PublishApproval
	case within:
		bound, ok := ReadShare(percent)
		if !ok {
			r.at(n.GetToken(), fmt.Sprintf("publish is %q", s), `write a share like "within 1%", from 0% to 100%`)
			return
		}
		r.d.Publish = Publish{Mode: PublishWithin, Bound: bound}
	default:
		r.at(n.GetToken(), fmt.Sprintf("publish is %q", s), `write auto, approval, or "within 1%"`)
	}
}
