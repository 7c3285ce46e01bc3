package faultbucket_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"anabranch/bucket"
	"anabranch/bucket/buckettest"
	"anabranch/bucket/faultbucket"
	"anabranch/fault"
)

func TestWithoutRuleItIsTheBucket(t *testing.T) {
	t.Parallel()
	buckettest.Run(t, func(*testing.T) bucket.Bucket { return faultbucket.Wrap(bucket.NewMemory(), nil) })
}

// script puts, reads and deletes, and writes down what came back.
func script(t *testing.T, b bucket.Bucket) []string {
	var got []string
	note := func(what string, err error) {
		if err != nil {
			what += " " + fault.KindOf(err).String()
			if errors.Is(err, bucket.ErrCondition) {
				what += " lost"
			}
		}
		got = append(got, what)
	}
	for range 2 {
		_, err := b.Put(t.Context(), "a", strings.NewReader("hello"), bucket.Condition{Absent: true})
		note("create", err)
	}
	body, _, err := b.Get(t.Context(), "a")
	text := []byte{}
	if err == nil {
		text, err = io.ReadAll(body)
		body.Close()
	}
	note(fmt.Sprintf("get %q", text), err)
	n := 0
	for _, err = range b.List(t.Context(), "", "") {
		if err == nil {
			n++
		}
	}
	note(fmt.Sprintf("list %d", n), err)
	note("delete", b.Delete(t.Context(), "a"))
	_, err = b.Stat(t.Context(), "a")
	note("stat", err)
	return got
}

func TestHarms(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule faultbucket.Rule
		want []string
	}{
		"none": {nil, []string{"create", "create conflict lost", `get "hello"`, "list 1", "delete", "stat not_found"}},
		"the first put before its effect": {faultbucket.Nth(0, faultbucket.Harm{Kind: fault.Throttled}),
			[]string{"create throttled", "create", `get "hello"`, "list 1", "delete", "stat not_found"}},
		"the first put after its effect": {faultbucket.Nth(0, faultbucket.Harm{Kind: fault.Transient, After: true}),
			[]string{"create transient", "create conflict lost", `get "hello"`, "list 1", "delete", "stat not_found"}},
		"a short body": {faultbucket.Nth(2, faultbucket.Harm{Kind: fault.Transient, Body: true, Bytes: 3}),
			[]string{"create", "create conflict lost", `get "hel" transient`, "list 1", "delete", "stat not_found"}},
		"a body that breaks at its end": {faultbucket.Nth(2, faultbucket.Harm{Kind: fault.Corrupt, Body: true, Bytes: 9}),
			[]string{"create", "create conflict lost", `get "hello" corrupt`, "list 1", "delete", "stat not_found"}},
		"a get": {faultbucket.Nth(2, faultbucket.Harm{Kind: fault.Denied}),
			[]string{"create", "create conflict lost", `get "" denied`, "list 1", "delete", "stat not_found"}},
		"a short list": {faultbucket.Nth(3, faultbucket.Harm{Kind: fault.Transient, Body: true}),
			[]string{"create", "create conflict lost", `get "hello"`, "list 0 transient", "delete", "stat not_found"}},
		"a delete after its effect": {faultbucket.Nth(4, faultbucket.Harm{Kind: fault.Transient, After: true}),
			[]string{"create", "create conflict lost", `get "hello"`, "list 1", "delete transient", "stat not_found"}},
		"death after the first put": {faultbucket.From(0, faultbucket.Harm{Kind: fault.Transient, After: true}),
			[]string{"create transient", "create transient", `get "" transient`, "list 0 transient", "delete transient", "stat transient"}},
	} {
		b := faultbucket.Wrap(bucket.NewMemory(), c.rule)
		if got := script(t, b); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
		}
		if calls := b.Calls(); len(calls) != 6 || calls[2] != (faultbucket.Call{N: 2, Op: faultbucket.Get, Name: "a"}) {
			t.Errorf("%s: calls %v", name, calls)
		}
	}
}
