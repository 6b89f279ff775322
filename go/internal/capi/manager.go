package capi

// #include "capi.h"
import "C"

// OpenOptions is libchat_manager_options.
type OpenOptions struct {
	Project, Agent            string
	MaxRetentionAgeNS         int64
	MaxSubscribers, TimeoutMS uint32
	SetRetention, BindOnly    bool
}

// Open wraps libchat_open.
func Open(conn uint64, given OpenOptions, cancel uint64) (uint64, *Error) {
	var t texts
	defer t.free()
	options := C.libchat_manager_options{
		struct_size:          C.sizeof_libchat_manager_options,
		project:              t.of("project", given.Project),
		agent_id:             t.of("agent", given.Agent),
		cancel:               C.libchat_cancel(cancel),
		max_retention_age_ns: C.int64_t(given.MaxRetentionAgeNS),
		max_subscribers:      C.uint32_t(given.MaxSubscribers),
		timeout_ms:           C.uint32_t(given.TimeoutMS),
	}
	if given.SetRetention {
		options.flags |= C.LIBCHAT_SET_RETENTION
	}
	if given.BindOnly {
		options.flags |= C.LIBCHAT_BIND_ONLY
	}
	if t.wrong != nil {
		return 0, t.wrong
	}
	var manager C.libchat_manager
	var err *C.libchat_error
	enter()
	status := C.libchat_open(C.libchat_conn(conn), &options, &manager, &err)
	return uint64(manager), take(status, err)
}

// CloseManager wraps libchat_manager_close.
func CloseManager(manager uint64, timeoutMS uint32) *Error {
	var err *C.libchat_error
	enter()
	return take(C.libchat_manager_close(C.libchat_manager(manager), C.uint32_t(timeoutMS), &err), err)
}

// ThreadShort wraps libchat_thread_short.
func ThreadShort(project, thread string) (string, *Error) {
	var t texts
	defer t.free()
	cProject, cThread := t.of("project", project), t.of("thread", thread)
	if t.wrong != nil {
		return "", t.wrong
	}
	var out [9]C.char
	var err *C.libchat_error
	enter()
	status := C.libchat_thread_short(cProject, cThread, &out[0], &err)
	return C.GoString(&out[0]), take(status, err)
}

// Stats is libchat_stats.
type Stats struct {
	Sent, Resent, Duplicates, Delivered, Malformed, Gaps, Resets, Detaches uint64
	Reopens, Reconnects, Watches, BufferedBytes                            uint64
	Connected, Polling                                                     bool
}

// ManagerStats wraps libchat_manager_stats.
func ManagerStats(manager uint64) (Stats, *Error) {
	out := C.libchat_stats{struct_size: C.sizeof_libchat_stats}
	var err *C.libchat_error
	enter()
	status := C.libchat_manager_stats(C.libchat_manager(manager), &out, &err)
	return Stats{
		Sent:          uint64(out.sent),
		Resent:        uint64(out.resent),
		Duplicates:    uint64(out.duplicates),
		Delivered:     uint64(out.delivered),
		Malformed:     uint64(out.malformed),
		Gaps:          uint64(out.gaps),
		Resets:        uint64(out.resets),
		Detaches:      uint64(out.detaches),
		Reopens:       uint64(out.reopens),
		Reconnects:    uint64(out.reconnects),
		Watches:       uint64(out.watches),
		BufferedBytes: uint64(out.buffered_bytes),
		Connected:     out.connected != 0,
		Polling:       out.polling != 0,
	}, take(status, err)
}

// ThreadSummary is libchat_thread_summary.
type ThreadSummary struct {
	Short, Name, LastSender, LastBody string
	MessageCount                      uint64
	LastActivityNS                    int64
	Cursor                            Cursor
}

// ListThreads wraps libchat_list_threads.
func ListThreads(manager, cancel uint64, timeoutMS uint32) ([]ThreadSummary, *Error) {
	options := callOptions(cancel, timeoutMS)
	var threads *C.libchat_threads
	var err *C.libchat_error
	enter()
	status := C.libchat_list_threads(C.libchat_manager(manager), &options, &threads, &err)
	return threadsOut(threads), take(status, err)
}

// ThreadsForAgent wraps libchat_threads_for_agent.
func ThreadsForAgent(
	manager uint64, agent string, maxThreads uint32, cancel uint64, timeoutMS uint32,
) ([]ThreadSummary, *Error) {
	var t texts
	defer t.free()
	cAgent := t.of("agent", agent)
	if t.wrong != nil {
		return nil, t.wrong
	}
	options := callOptions(cancel, timeoutMS)
	var threads *C.libchat_threads
	var err *C.libchat_error
	enter()
	status := C.libchat_threads_for_agent(
		C.libchat_manager(manager), cAgent, C.uint32_t(maxThreads), &options, &threads, &err)
	return threadsOut(threads), take(status, err)
}

func callOptions(cancel uint64, timeoutMS uint32) C.libchat_call_options {
	return C.libchat_call_options{
		struct_size: C.sizeof_libchat_call_options,
		cancel:      C.libchat_cancel(cancel),
		timeout_ms:  C.uint32_t(timeoutMS),
	}
}

// threadsOut copies a list and frees it.
func threadsOut(threads *C.libchat_threads) []ThreadSummary {
	defer C.libchat_threads_release(threads)
	out := make([]ThreadSummary, C.libchat_threads_len(threads))
	for i := range out {
		thread := C.libchat_thread_summary{struct_size: C.sizeof_libchat_thread_summary}
		C.libchat_threads_get(threads, C.size_t(i), &thread)
		out[i] = ThreadSummary{
			Short:          C.GoString(thread.short_id),
			Name:           clone(thread.name),
			LastSender:     clone(thread.last_sender),
			LastBody:       clone(thread.last_body),
			MessageCount:   uint64(thread.message_count),
			LastActivityNS: int64(thread.last_activity_ns),
			Cursor:         cursorOut(thread.cursor),
		}
	}
	return out
}

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
