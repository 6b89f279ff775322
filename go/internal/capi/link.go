//go:build !libchat_static

package capi

// #cgo pkg-config: libchat
import "C"
