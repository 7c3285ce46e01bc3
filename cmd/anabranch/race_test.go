//go:build race

package main

// raced tells that the race detector, which makes everything slower, is on.
const raced = true
