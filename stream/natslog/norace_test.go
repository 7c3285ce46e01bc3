//go:build !race

package natslog

const raced = false
