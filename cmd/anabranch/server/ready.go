package server

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"anabranch/cmd/anabranch/api"
)

// readyz tells what is wrong just now. The status is 200 while events are
// taken and queries answered, though it be from an older version: to take the
// process out of a load balancer for that would make it worse.
func (s *Server) readyz(*http.Request) (api.Ready, error) {
	out := api.Ready{Status: "ok", Problems: s.problems()}
	if len(out.Problems) > 0 {
		out.Status = "degraded"
	}
	return out, nil
}

// problems lists what fails and is tried again, by pipeline and part.
func (s *Server) problems() []api.Trouble {
	out := []api.Trouble{}
	s.eachProblem(func(pipeline, part string, since *time.Time, err error) {
		out = append(out, api.Trouble{Pipeline: pipeline, Part: part, Since: since, Error: err.Error()})
	})
	slices.SortFunc(out, func(a, b api.Trouble) int { return strings.Compare(a.Pipeline+"\x00"+a.Part, b.Pipeline+"\x00"+b.Part) })
	return out
}

// eachProblem calls add for what fails just now, in no order.
func (s *Server) eachProblem(add func(pipeline, part string, since *time.Time, err error)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for name, p := range s.pipelines {
		if t := p.away.Load(); t != nil {
			add(name, "object store", &t.since, t.err)
		}
		if p.sealer != nil {
			for n, st := range p.sealer.Stats() {
				if st.Err != nil {
					add(name, fmt.Sprintf("archive, partition %d", n), nil, st.Err)
				}
			}
		}
		if p.speed != nil {
			for _, st := range p.speed.Stats().Partitions {
				if st.Err != nil {
					add(name, fmt.Sprintf("speed, partition %d, %s", st.Partition, st.State), nil, st.Err)
				}
			}
		}
	}
}

// away is why the newest version cannot be had, and since when.
type away struct {
	since time.Time
	err   error
}

// seeStore keeps what the last look at the object store said.
func (p *pipeline) seeStore(err error) {
	now := &away{time.Now(), err}
	if old := p.away.Load(); old != nil {
		now.since = old.since
	}
	if err == nil {
		now = nil
	}
	p.away.Store(now)
}
