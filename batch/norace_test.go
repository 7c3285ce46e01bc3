//go:build !race

package batch_test

// stride is how many calls the tests that fail at every call go on by.
const stride = 1
