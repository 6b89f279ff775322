package capi

// #include "capi.h"
import "C"

import (
	"strings"
	"unsafe"
)

// What a note tells.
const (
	Incoming = C.CAPI_REQUEST
	Done     = C.CAPI_DONE
	Log      = C.CAPI_LOG
)

// NoteSize is how many bytes of the pipe are one note.
const NoteSize = int(unsafe.Sizeof(uintptr(0)))

// Note is what libchat told on a thread of its own.
type Note struct {
	Kind    int
	Token   uint64 // as given to Respond; of a log's line, how many were lost before it
	Level   int    // of a log's line
	Request uint64
	Subject string // of a request; of a log's line, its target
	Headers []Header
	Payload []byte
}

// Notes is how many notes libchat has told or is about to, and that were not taken yet.
func Notes() int { return int(C.capi_notes()) }

// TakeNote copies the note whose address was read from a pipe, and frees it.
func TakeNote(address [NoteSize]byte) Note {
	from := *(**C.capi_note)(unsafe.Pointer(&address))
	enter()
	defer C.capi_note_free(from)
	note := Note{Kind: int(from.kind), Token: uint64(from.token), Level: int(from.level)}
	texts := from.texts
	next := func() string {
		text := C.GoString(texts)
		texts = (*C.char)(unsafe.Add(unsafe.Pointer(texts), len(text)+1))
		return text
	}
	switch note.Kind {
	case Incoming:
		note.Subject = next()
		for range from.headers_len {
			note.Headers = append(note.Headers, Header{next(), next()})
		}
		note.Request = uint64(from.request)
		note.Payload = []byte(view(from.payload))
	case Log:
		note.Subject = next()
		note.Payload = []byte(view(from.payload))
	}
	return note
}

// SetLog wraps libchat_set_log: lines come as notes in `pipe`; a negative one ends it.
func SetLog(pipe int, levelMax int32) Status {
	enter()
	return Status(C.capi_set_log(C.int(pipe), C.int32_t(levelMax)))
}

// clone copies text that C lends.
func clone(bytes C.libchat_bytes) string { return strings.Clone(view(bytes)) }
