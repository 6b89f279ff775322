//go:build debug

package capi

import "runtime"

// enter collects before every call into C, so that what Go no longer holds is gone by then.
func enter() { runtime.GC() }
