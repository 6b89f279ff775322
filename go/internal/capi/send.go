package capi

// #cgo noescape capi_send
// #cgo nocallback capi_send
// #cgo noescape capi_sent_take
// #cgo nocallback capi_sent_take
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

// Send wraps libchat_send_async: without an error TakeSent hands out what came of it, as token.
func Send(manager, token uint64, given *Sending, cancel uint64) *Error {
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
	begin()
	defer end()
	status := C.capi_send(C.libchat_manager(manager), C.uint64_t(token),
		(*C.char)(unsafe.Pointer(unsafe.SliceData(texts))), C.size_t(len(given.Headers)),
		(*C.uint8_t)(unsafe.Pointer(unsafe.StringData(given.Body))), C.size_t(len(given.Body)),
		&expectLast, C.libchat_cancel(cancel), C.uint32_t(given.TimeoutMS), flags, &err)
	return take(status, err)
}

// SentFD wraps libchat_sent_fd; the descriptor is the caller's.
func SentFD(manager uint64) (uintptr, *Error) {
	var fd C.intptr_t
	var err *C.libchat_error
	enter()
	status := C.libchat_sent_fd(C.libchat_manager(manager), &fd, &err)
	return uintptr(fd), take(status, err)
}

// Sent is what one send came to.
type Sent struct {
	Token     uint64
	Error     *Error
	ID        string
	Cursor    Cursor
	Duplicate bool
}

// Ends is room for the ends of sends.
type Ends [C.CAPI_TAKE_MAX]C.capi_sent

// TakeSent wraps libchat_sent_take, and hands each to told.
func TakeSent(manager uint64, room *Ends, told func(Sent)) (Status, *Error) {
	var count C.size_t
	var err *C.libchat_error
	begin()
	status := C.capi_sent_take(C.libchat_manager(manager), &room[0], &count, &err)
	end()
	for i := range room[:count] {
		from := &room[i]
		told(Sent{
			Token:     uint64(from.token),
			Error:     take(from.status, from.error),
			ID:        C.GoString(&from.receipt.id[0]),
			Cursor:    cursorOut(from.receipt.cursor),
			Duplicate: from.receipt.duplicate != 0,
		})
	}
	clear(room[:count]) // Go shall not keep addresses of what is freed
	return Status(status), take(status, err)
}
