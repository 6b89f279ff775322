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
