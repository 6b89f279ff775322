package capi

// #include "capi.h"
import "C"

// Cursor is libchat_cursor.
type Cursor struct {
	Incarnation, Seq uint64
	Check            uint32
}

func cursorOut(cursor C.libchat_cursor) Cursor {
	return Cursor{uint64(cursor.incarnation), uint64(cursor.seq), uint32(cursor.check)}
}

func cursorIn(cursor Cursor) C.libchat_cursor {
	return C.libchat_cursor{
		incarnation: C.uint64_t(cursor.Incarnation),
		seq:         C.uint64_t(cursor.Seq),
		check:       C.uint32_t(cursor.Check),
	}
}

// FormatCursor wraps libchat_cursor_format.
func FormatCursor(cursor Cursor) (string, *Error) {
	var out [C.LIBCHAT_CURSOR_SIZE]C.char
	var err *C.libchat_error
	enter()
	status := C.libchat_cursor_format(cursorIn(cursor), &out[0], C.size_t(len(out)), &err)
	return C.GoString(&out[0]), take(status, err)
}

// ParseCursor wraps libchat_cursor_parse.
func ParseCursor(text string) (Cursor, *Error) {
	var t texts
	defer t.free()
	cText := t.of("cursor", text)
	if t.wrong != nil {
		return Cursor{}, t.wrong
	}
	var out C.libchat_cursor
	var err *C.libchat_error
	enter()
	status := C.libchat_cursor_parse(cText, &out, &err)
	return cursorOut(out), take(status, err)
}
