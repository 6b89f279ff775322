package capi

// #cgo noescape libchat_watch_take
// #cgo nocallback libchat_watch_take
// #cgo noescape capi_events_read
// #cgo nocallback capi_events_read
// #cgo nocallback libchat_events_release
// #include "capi.h"
import "C"

import (
	"strings"
	"sync"
	"unsafe"
)

// Where a watch or a history begins.
const (
	StartNew   = C.LIBCHAT_START_NEW
	StartAll   = C.LIBCHAT_START_ALL
	StartAfter = C.LIBCHAT_START_AFTER
	StartTime  = C.LIBCHAT_START_TIME
	StartLast  = C.LIBCHAT_START_LAST
)

// What kind an event is.
const (
	EventMessage   = C.LIBCHAT_EVENT_MESSAGE
	EventCaughtUp  = C.LIBCHAT_EVENT_CAUGHT_UP
	EventGap       = C.LIBCHAT_EVENT_GAP
	EventReset     = C.LIBCHAT_EVENT_RESET
	EventMalformed = C.LIBCHAT_EVENT_MALFORMED
	EventStalled   = C.LIBCHAT_EVENT_STALLED
	EventResumed   = C.LIBCHAT_EVENT_RESUMED
)

// Start says where to begin.
type Start struct {
	Kind   int32
	Cursor Cursor
	TimeNS int64
	Limit  uint64
}

// What to watch.
const (
	Thread = iota
	All
	Pattern
)

// WatchOptions is libchat_watch_options, and what to watch.
type WatchOptions struct {
	What             int
	Name             string // the thread or the pattern
	Start            Start
	QueueBytes       uint64
	Queue, TimeoutMS uint32
	ByShort, SkipOwn bool
}

// Watch wraps libchat_watch_thread, libchat_watch_all and libchat_watch_pattern, in pull mode.
func Watch(manager uint64, given *WatchOptions, cancel uint64) (uint64, *Error) {
	var t texts
	defer t.free()
	options := C.libchat_watch_options{
		struct_size: C.sizeof_libchat_watch_options,
		cursor:      cursorIn(given.Start.Cursor),
		time_ns:     C.int64_t(given.Start.TimeNS),
		limit:       C.uint64_t(given.Start.Limit),
		cancel:      C.libchat_cancel(cancel),
		queue_bytes: C.uint64_t(given.QueueBytes),
		start:       C.libchat_start(given.Start.Kind),
		queue:       C.uint32_t(given.Queue),
		timeout_ms:  C.uint32_t(given.TimeoutMS),
	}
	if given.ByShort {
		options.flags |= C.LIBCHAT_BY_SHORT
	}
	if given.SkipOwn {
		options.flags |= C.LIBCHAT_SKIP_OWN
	}
	names := [...]string{Thread: "thread", All: "", Pattern: "pattern"}
	name := t.of(names[given.What], given.Name)
	if t.wrong != nil {
		return 0, t.wrong
	}
	m := C.libchat_manager(manager)
	var watch C.libchat_watch
	var err *C.libchat_error
	var status C.libchat_status
	enter()
	switch given.What {
	case Thread:
		status = C.libchat_watch_thread(m, name, &options, &watch, &err)
	case All:
		status = C.libchat_watch_all(m, &options, &watch, &err)
	case Pattern:
		status = C.libchat_watch_pattern(m, name, &options, &watch, &err)
	}
	return uint64(watch), take(status, err)
}

// WatchFD wraps libchat_watch_fd; the descriptor is the caller's.
func WatchFD(watch uint64) (uintptr, *Error) {
	var fd C.intptr_t
	var err *C.libchat_error
	begin()
	defer end()
	status := C.libchat_watch_fd(C.libchat_watch(watch), &fd, &err)
	return uintptr(fd), take(status, err)
}

// StopWatch wraps libchat_watch_stop.
func StopWatch(watch uint64) {
	begin()
	defer end()
	C.libchat_watch_stop(C.libchat_watch(watch))
}

// CloseWatch wraps libchat_watch_close.
func CloseWatch(watch uint64) {
	begin()
	defer end()
	C.libchat_watch_close(C.libchat_watch(watch))
}

// Event is an event, and all of its message.
type Event struct {
	Kind, Reason                             int32
	Cursor, After                            Cursor
	ID, Sender, Thread, Short, ReplyTo, Body string
	SentS, SentNS, TimeNS                    int64
	Headers                                  []Header
}

// TakeEvents wraps libchat_watch_take, without waiting: the events are appended to `to`.
func TakeEvents(watch uint64, max int, to []Event) ([]Event, Status, *Error) {
	var events *C.libchat_events
	var err *C.libchat_error
	begin()
	defer end()
	status := C.libchat_watch_take(C.libchat_watch(watch), C.size_t(max), 0, &events, &err)
	if status != C.LIBCHAT_OK {
		return to, Status(status), take(status, err)
	}
	return eventsOut(events, to), OK, nil
}

// HistoryOptions is libchat_history_options.
type HistoryOptions struct {
	Before           Cursor // set by whoever reads backwards, who puts it into Start
	Thread           string
	Start            Start
	MaxBytes         uint64
	Limit, TimeoutMS uint32
	ByShort          bool
}

// History wraps libchat_history: events, and whether they ended at a bound, and where.
func History(manager uint64, given *HistoryOptions, cancel uint64) ([]Event, bool, Cursor, *Error) {
	var t texts
	defer t.free()
	options := C.libchat_history_options{
		struct_size: C.sizeof_libchat_history_options,
		cursor:      cursorIn(given.Start.Cursor),
		time_ns:     C.int64_t(given.Start.TimeNS),
		max_bytes:   C.uint64_t(given.MaxBytes),
		cancel:      C.libchat_cancel(cancel),
		start:       C.libchat_start(given.Start.Kind),
		limit:       C.uint32_t(given.Limit),
		timeout_ms:  C.uint32_t(given.TimeoutMS),
	}
	if given.ByShort {
		options.flags |= C.LIBCHAT_BY_SHORT
	}
	thread := t.of("thread", given.Thread)
	if t.wrong != nil {
		return nil, false, Cursor{}, t.wrong
	}
	var events *C.libchat_events
	var err *C.libchat_error
	enter()
	status := C.libchat_history(C.libchat_manager(manager), thread, &options, &events, &err)
	if status != C.LIBCHAT_OK {
		return nil, false, Cursor{}, take(status, err)
	}
	var next C.libchat_cursor
	truncated := bool(C.libchat_events_truncated(events, &next))
	return eventsOut(events, nil), truncated, cursorOut(next), nil
}

// Room to read events into: one call into C for as many as it has.
type page [64]C.capi_event

var pages = sync.Pool{New: func() any { return new(page) }}

// eventsOut copies a list of events, frees it, and appends the copies to `to`.
func eventsOut(events *C.libchat_events, to []Event) []Event {
	defer C.libchat_events_release(events)
	read := pages.Get().(*page)
	defer pages.Put(read)
	for first := 0; ; {
		count := int(C.capi_events_read(events, C.size_t(first), &read[0], C.size_t(len(read))))
		for i := range read[:count] {
			to = append(to, eventOut(&read[i]))
		}
		clear(read[:count]) // Go shall not keep addresses of what is freed
		if first += count; count < len(read) {
			return to
		}
	}
}

func eventOut(from *C.capi_event) Event {
	event := Event{
		Kind:   int32(from.kind),
		Reason: int32(from.reason),
		Cursor: cursorOut(from.cursor),
		After:  cursorOut(from.after),
	}
	if from.kind != C.LIBCHAT_EVENT_MESSAGE {
		return event
	}
	// One allocation for all its texts.
	var all strings.Builder
	fields := [...]C.libchat_bytes{from.id, from.sender, from.thread, from.reply_to, from.body}
	size := shortLen
	for _, field := range fields {
		size += int(field.len)
	}
	all.Grow(size)
	for _, field := range fields {
		all.WriteString(view(field))
	}
	all.WriteString(view(C.libchat_bytes{
		data: (*C.uint8_t)(unsafe.Pointer(from.short_id)), len: shortLen,
	}))
	rest := all.String()
	next := func(size C.size_t) string {
		text := rest[:size]
		rest = rest[size:]
		return text
	}
	event.ID, event.Sender = next(from.id.len), next(from.sender.len)
	event.Thread = next(from.thread.len)
	event.ReplyTo, event.Body, event.Short = next(from.reply_to.len), next(from.body.len), rest
	event.SentS, event.SentNS = int64(from.sent_s), int64(from.sent_ns)
	event.TimeNS = int64(from.time_ns)
	event.Headers = headersOut(from.headers, from.headers_len)
	return event
}

// A short has 8 hex digits.
const shortLen = 8

func headersOut(headers *C.libchat_header, size C.size_t) []Header {
	if size == 0 {
		return nil
	}
	out := make([]Header, size)
	for i, header := range unsafe.Slice(headers, size) {
		out[i] = Header{C.GoString(header.name), C.GoString(header.value)}
	}
	return out
}
