package capi

// #include "capi.h"
import "C"

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
