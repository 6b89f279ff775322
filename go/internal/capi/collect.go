//go:build !debug

package capi

// enter is called before every call into C.
func enter() {}
