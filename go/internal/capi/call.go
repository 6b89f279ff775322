// Package capi calls libchat's C functions: one Go function for each, named alike, that adds
// nothing but Go's types. All of libchat's cgo is here.
//
// Nothing here calls back into Go, and C keeps no pointer into Go's memory. What libchat tells on
// threads of its own comes through a pipe, as notes.
package capi

// #include <stdlib.h>
// #include "capi.h"
import "C"

import (
	"fmt"
	"strings"
	"unsafe"
)

// Status is what a function of libchat answers.
type Status int32

// The answers.
const (
	OK                 Status = C.LIBCHAT_OK
	End                Status = C.LIBCHAT_END
	Empty              Status = C.LIBCHAT_EMPTY
	InvalidArgument    Status = C.LIBCHAT_ERR_INVALID_ARGUMENT
	InvalidHandle      Status = C.LIBCHAT_ERR_INVALID_HANDLE
	InvalidState       Status = C.LIBCHAT_ERR_INVALID_STATE
	WouldDeadlock      Status = C.LIBCHAT_ERR_WOULD_DEADLOCK
	Forked             Status = C.LIBCHAT_ERR_FORKED
	Unsupported        Status = C.LIBCHAT_ERR_UNSUPPORTED
	Busy               Status = C.LIBCHAT_ERR_BUSY
	System             Status = C.LIBCHAT_ERR_SYSTEM
	Timeout            Status = C.LIBCHAT_ERR_TIMEOUT
	Disconnected       Status = C.LIBCHAT_ERR_DISCONNECTED
	Closed             Status = C.LIBCHAT_ERR_CLOSED
	Unauthorized       Status = C.LIBCHAT_ERR_UNAUTHORIZED
	NoResponders       Status = C.LIBCHAT_ERR_NO_RESPONDERS
	OutcomeUnknown     Status = C.LIBCHAT_ERR_OUTCOME_UNKNOWN
	Remote             Status = C.LIBCHAT_ERR_REMOTE
	Cancelled          Status = C.LIBCHAT_ERR_CANCELLED
	NotFound           Status = C.LIBCHAT_ERR_NOT_FOUND
	Conflict           Status = C.LIBCHAT_ERR_CONFLICT
	TooLarge           Status = C.LIBCHAT_ERR_TOO_LARGE
	TooManySubscribers Status = C.LIBCHAT_ERR_TOO_MANY_SUBSCRIBERS
	Server             Status = C.LIBCHAT_ERR_SERVER
	Panic              Status = C.LIBCHAT_ERR_PANIC
)

// Infinite is a timeout without an end, in milliseconds.
const Infinite uint32 = C.LIBCHAT_INFINITE

// Error is a failed call, copied out of libchat.
type Error struct {
	Status     Status
	Message    string
	Hint       string
	ID         string
	RemoteCode string
	ServerCode uint32
	Retryable  bool
}

// take copies what a failed call has left and frees it; nil after OK.
func take(status C.libchat_status, err *C.libchat_error) *Error {
	if status < C.LIBCHAT_ERR_INVALID_ARGUMENT {
		return nil
	}
	defer C.libchat_error_free(err)
	return &Error{
		Status:     Status(status),
		Message:    C.GoString(C.libchat_error_message(err)),
		Hint:       C.GoString(C.libchat_error_hint(err)),
		ID:         C.GoString(C.libchat_error_id(err)),
		RemoteCode: C.GoString(C.libchat_error_remote_code(err)),
		ServerCode: uint32(C.libchat_error_server_code(err)),
		Retryable:  bool(C.libchat_error_is_retryable(err)),
	}
}

// How many threads are in calls at once that do not wait. A thread that the system interrupts in C
// costs Go another one, for ever; where thousands of goroutines have something to do, that adds up.
var brief = make(chan struct{}, 16)

// begin comes before a call that does not wait, and end after it.
func begin() {
	brief <- struct{}{}
	enter()
}

func end() { <-brief }

// texts are C copies of strings, for the time of one call.
type texts struct {
	copies []unsafe.Pointer
	wrong  *Error
}

// of copies a string; what says what it is, should it hold a NUL.
func (t *texts) of(what, text string) *C.char {
	if wrong := checkNUL(what, text); wrong != nil {
		t.wrong = wrong
		return nil
	}
	copied := C.CString(text)
	t.copies = append(t.copies, unsafe.Pointer(copied))
	return copied
}

// optional is of, but NULL for an empty string.
func (t *texts) optional(what, text string) *C.char {
	if text == "" {
		return nil
	}
	return t.of(what, text)
}

// headers copies header fields.
func (t *texts) headers(fields []Header) *C.libchat_header {
	if len(fields) == 0 {
		return nil
	}
	memory := C.calloc(C.size_t(len(fields)), C.sizeof_libchat_header)
	t.copies = append(t.copies, memory)
	copies := unsafe.Slice((*C.libchat_header)(memory), len(fields))
	for i, field := range fields {
		copies[i].name = t.of("header name", field.Name)
		copies[i].value = t.of("header "+field.Name, field.Value)
	}
	return &copies[0]
}

func (t *texts) free() {
	for _, copied := range t.copies {
		C.free(copied)
	}
}

// checkNUL refuses what C would cut short.
func checkNUL(what, text string) *Error {
	if at := strings.IndexByte(text, 0); at >= 0 {
		return &Error{
			Status:  InvalidArgument,
			Message: fmt.Sprintf("%s %q: holds a NUL at byte %d", what, text, at),
		}
	}
	return nil
}

// Header is one header field.
type Header struct{ Name, Value string }

// view sees bytes of C as they are: for as long as C lends them.
func view(bytes C.libchat_bytes) string {
	return unsafe.String((*byte)(unsafe.Pointer(bytes.data)), int(bytes.len))
}

// bytesIn points to bytes for the time of one call.
func bytesIn(bytes []byte) C.libchat_bytes {
	return C.libchat_bytes{data: (*C.uint8_t)(unsafe.SliceData(bytes)), len: C.size_t(len(bytes))}
}
