//go:build !linux

package sql

import "time"

// Elsewhere a thread has no priority of its own, and nobody waits for one that
// is low.

func usable() []int { return nil }

type tickers struct{}

func newTickers([]int, time.Duration) *tickers { return &tickers{} }

func (*tickers) set(bool) {}
func (*tickers) close()   {}

type naps struct{}

func newNaps(every, lasting time.Duration) *naps { return &naps{} }

func (*naps) set([]int) {}
func (*naps) close()    {}
