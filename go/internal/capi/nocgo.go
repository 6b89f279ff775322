//go:build !cgo

package capi

var _ int = "libchat is a C library: build with CGO_ENABLED=1 and a C compiler in PATH"
