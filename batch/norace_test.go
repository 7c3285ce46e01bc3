//go:build !race

package batch_test

// stride is how many calls the tests that fail at every call go on by.
const stride = 1

// pointStride and zombieStride are how many calls the tests at random seeds go
// on by, about: the soak has many seeds.
const pointStride, zombieStride = 8, 8
