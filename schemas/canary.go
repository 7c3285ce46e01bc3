package schemas

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Canary says how a view's new version is judged beside the one that answers,
// before it takes over.
type Canary struct {
	// Within is how much may differ at most, as a share of 1: of the groups,
	// and of each column's total. Beyond it the new version is rolled back.
	Within float64
	Every  time.Duration // how often the two are compared; besides after every publication
	// It is promoted when it was within the bound For so long, in Comparisons
	// comparisons at least.
	For         time.Duration
	Comparisons int
}

// DefaultCanary is how a pipeline judges that does not say.
var DefaultCanary = Canary{Within: 0.01, Every: 5 * time.Minute, For: time.Hour, Comparisons: 3}

const (
	minCanaryEvery = time.Second
	maxComparisons = 1000
)

// canary reads batch.canary.
func (r *definitionReader) canary(n ast.Node) {
	keys := r.mapping(n, "canary", "within", "every", "for", "comparisons")
	c := &r.d.Canary
	if e, ok := keys["within"]; ok {
		if s, ok := r.text(e.value, "within"); ok {
			if c.Within, ok = ReadShare(s); !ok {
				r.at(e.value.GetToken(), fmt.Sprintf("within is %q", s), `write a share like 1%, from 0% to 100%`)
			}
		}
	}
	if e, ok := keys["every"]; ok {
		if c.Every = r.duration(e.value, "every"); c.Every < minCanaryEvery {
			r.at(e.value.GetToken(), fmt.Sprintf("every is %s", c.Every), fmt.Sprintf("write a time of at least %s, like 5m", minCanaryEvery))
		}
	}
	if e, ok := keys["for"]; ok {
		c.For = r.duration(e.value, "for")
	}
	if e, ok := keys["comparisons"]; ok {
		c.Comparisons = r.whole(e.value, "the number of comparisons", 1, maxComparisons)
	}
}

// ReadShare reads a share such as 1%; false: it is none from 0% to 100%.
func ReadShare(text string) (float64, bool) {
	number, ok := strings.CutSuffix(strings.TrimSpace(text), "%")
	percent, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !ok || err != nil || !(percent >= 0 && percent <= 100) {
		return 0, false
	}
	return percent / 100, true
}

// Share writes what ReadShare reads.
func Share(share float64) string { return strconv.FormatFloat(share*100, 'g', 6, 64) + "%" }
