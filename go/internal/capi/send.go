package capi

// #cgo noescape capi_send
// #cgo nocallback capi_send
// #include "capi.h"
import "C"

import "unsafe"

// Sending is what libchat_send_async is given. Texts may be empty.
type Sending struct {
	Thread, ID, ReplyTo, Body     string
	Headers                       []Header
	ExpectLast                    Cursor
	TimeoutMS                     uint32
	ByShort, HasExpect, Unordered bool
}

// Send wraps libchat_send_async: OK means that a note of `token` follows in `pipe`.
func Send(manager uint64, pipe int, token uint64, given *Sending, cancel uint64) *Error {
	var room [256]byte
	texts := room[:0]
	var wrong *Error
	add := func(what, text string) {
		if found := checkNUL(what, text); found != nil {
			wrong = found
		}
		texts = append(append(texts, text...), 0)
	}
	add("thread", given.Thread)
	add("id", given.ID)
	add("reply to", given.ReplyTo)
	for _, header := range given.Headers {
		add("header name", header.Name)
		add("header "+header.Name, header.Value)
	}
	if wrong != nil {
		return wrong
	}
	var flags C.uint32_t
	if given.ByShort {
		flags |= C.LIBCHAT_BY_SHORT
	}
	if given.HasExpect {
		flags |= C.LIBCHAT_EXPECT_LAST
	}
	if given.Unordered {
		flags |= C.LIBCHAT_UNORDERED
	}
	expectLast := cursorIn(given.ExpectLast)
	var err *C.libchat_error
	enter()
	status := C.capi_send(C.libchat_manager(manager), C.int(pipe), C.uint64_t(token),
		(*C.char)(unsafe.Pointer(unsafe.SliceData(texts))), C.size_t(len(given.Headers)),
		(*C.uint8_t)(unsafe.Pointer(unsafe.StringData(given.Body))), C.size_t(len(given.Body)),
		&expectLast, C.libchat_cancel(cancel), C.uint32_t(given.TimeoutMS), flags, &err)
	return take(status, err)
}
