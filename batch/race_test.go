//go:build race

package batch_test

// stride is how many calls the tests that fail at every call go on by: the
// race detector makes each of their runs ten times slower.
const stride = 9

// pointStride and zombieStride are how many calls the tests at random seeds go
// on by, about: the soak has many seeds.
const pointStride, zombieStride = 40, 40
