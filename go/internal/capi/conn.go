package capi

// #include "capi.h"
import "C"

// ConnOptions is libchat_conn_options: "" and 0 are the defaults.
type ConnOptions struct {
	Servers, Context, Name             string
	CredsFile, NkeyFile                string
	User, Password, Token              string
	TLSCAFile, TLSCertFile, TLSKeyFile string
	JSDomain, InboxPrefix              string
	BufferBytes                        uint64
	TimeoutMS                          uint32
	TLSRequired, TLSFirst              bool
}

// Connect wraps libchat_connect.
func Connect(given ConnOptions, cancel uint64) (uint64, *Error) {
	var t texts
	defer t.free()
	options := C.libchat_conn_options{
		struct_size:   C.sizeof_libchat_conn_options,
		servers:       t.optional("servers", given.Servers),
		context:       t.optional("context", given.Context),
		name:          t.optional("name", given.Name),
		creds_file:    t.optional("creds file", given.CredsFile),
		nkey_file:     t.optional("nkey file", given.NkeyFile),
		user:          t.optional("user", given.User),
		password:      t.optional("password", given.Password),
		token:         t.optional("token", given.Token),
		tls_ca_file:   t.optional("TLS CA file", given.TLSCAFile),
		tls_cert_file: t.optional("TLS certificate file", given.TLSCertFile),
		tls_key_file:  t.optional("TLS key file", given.TLSKeyFile),
		js_domain:     t.optional("JetStream domain", given.JSDomain),
		inbox_prefix:  t.optional("inbox prefix", given.InboxPrefix),
		cancel:        C.libchat_cancel(cancel),
		buffer_bytes:  C.uint64_t(given.BufferBytes),
		timeout_ms:    C.uint32_t(given.TimeoutMS),
	}
	if given.TLSRequired {
		options.flags |= C.LIBCHAT_TLS_REQUIRED
	}
	if given.TLSFirst {
		options.flags |= C.LIBCHAT_TLS_FIRST
	}
	if t.wrong != nil {
		return 0, t.wrong
	}
	var conn C.libchat_conn
	var err *C.libchat_error
	enter()
	status := C.libchat_connect(&options, &conn, &err)
	return uint64(conn), take(status, err)
}

// CloseConn wraps libchat_conn_close.
func CloseConn(conn uint64, timeoutMS uint32) *Error {
	var err *C.libchat_error
	enter()
	return take(C.libchat_conn_close(C.libchat_conn(conn), C.uint32_t(timeoutMS), &err), err)
}

// NewCancel wraps libchat_cancel_new.
func NewCancel() (uint64, *Error) {
	var cancel C.libchat_cancel
	var err *C.libchat_error
	begin()
	defer end()
	status := C.libchat_cancel_new(&cancel, &err)
	return uint64(cancel), take(status, err)
}

// FireCancel wraps libchat_cancel_fire. A token that was given back is left alone.
func FireCancel(cancel uint64) {
	begin()
	defer end()
	C.libchat_cancel_fire(C.libchat_cancel(cancel))
}

// CloseCancel wraps libchat_cancel_close.
func CloseCancel(cancel uint64) {
	begin()
	defer end()
	C.libchat_cancel_close(C.libchat_cancel(cancel))
}

// Version wraps libchat_version.
func Version() string {
	enter()
	return C.GoString(C.libchat_version())
}

// Compatible wraps libchat_abi_compatible: whether the library that is loaded fits the header.
func Compatible() bool {
	enter()
	return bool(C.libchat_abi_compatible(C.LIBCHAT_ABI))
}

// StatusName wraps libchat_status_name.
func StatusName(status Status) string {
	enter()
	return C.GoString(C.libchat_status_name(C.libchat_status(status)))
}

// StartLocalServer wraps libchat_local_server_start; it answers the server's address.
func StartLocalServer(folder string) (string, *Error) {
	var t texts
	defer t.free()
	cFolder := t.of("folder", folder)
	if t.wrong != nil {
		return "", t.wrong
	}
	url := [256]C.char{}
	var err *C.libchat_error
	enter()
	status := C.libchat_local_server_start(cFolder, &url[0], C.size_t(len(url)), &err)
	return C.GoString(&url[0]), take(status, err)
}

// StopLocalServer wraps libchat_local_server_stop.
func StopLocalServer(folder string) *Error {
	var t texts
	defer t.free()
	cFolder := t.of("folder", folder)
	if t.wrong != nil {
		return t.wrong
	}
	var err *C.libchat_error
	enter()
	return take(C.libchat_local_server_stop(cFolder, &err), err)
}
