package capi

// #include "capi.h"
import "C"

// Asking is what libchat_request is given; with an Agent it is libchat_ask.
type Asking struct {
	Subject, Agent string
	Payload        []byte
	Headers        []Header
	TimeoutMS      uint32
}

// Request wraps libchat_request and libchat_ask. It holds its thread until the answer comes.
func Request(manager uint64, given *Asking, cancel uint64) ([]byte, *Error) {
	var t texts
	defer t.free()
	options := callOptions(cancel, given.TimeoutMS)
	options.headers = t.headers(given.Headers)
	options.headers_len = C.size_t(len(given.Headers))
	subject, agent := t.of("subject", given.Subject), t.of("agent", given.Agent)
	if t.wrong != nil {
		return nil, t.wrong
	}
	m, payload := C.libchat_manager(manager), bytesIn(given.Payload)
	var reply *C.libchat_reply
	var err *C.libchat_error
	var status C.libchat_status
	enter()
	if given.Agent != "" {
		status = C.libchat_ask(m, agent, payload, &options, &reply, &err)
	} else {
		status = C.libchat_request(m, subject, payload, &options, &reply, &err)
	}
	if status != C.LIBCHAT_OK {
		return nil, take(status, err)
	}
	defer C.libchat_reply_release(reply)
	return []byte(view(C.libchat_reply_payload(reply))), nil
}

// RespondOptions is libchat_respond_options; without a Subject it is libchat_answer.
type RespondOptions struct {
	Subject, QueueGroup                     string
	Concurrency, AnswerTimeoutMS, TimeoutMS uint32
}

// Respond wraps libchat_respond and libchat_answer: OK means that notes of `token` come in `pipe`,
// the last of them Done.
func Respond(
	manager uint64, pipe int, token uint64, given *RespondOptions, cancel uint64,
) (uint64, *Error) {
	var t texts
	defer t.free()
	options := C.libchat_respond_options{
		struct_size:       C.sizeof_libchat_respond_options,
		queue_group:       t.optional("queue group", given.QueueGroup),
		cancel:            C.libchat_cancel(cancel),
		concurrency:       C.uint32_t(given.Concurrency),
		answer_timeout_ms: C.uint32_t(given.AnswerTimeoutMS),
		timeout_ms:        C.uint32_t(given.TimeoutMS),
	}
	subject := t.optional("subject", given.Subject)
	if t.wrong != nil {
		return 0, t.wrong
	}
	var responder C.libchat_responder
	var err *C.libchat_error
	enter()
	status := C.capi_respond(C.libchat_manager(manager), C.int(pipe), C.uint64_t(token), subject,
		&options, &responder, &err)
	return uint64(responder), take(status, err)
}

// Reply wraps libchat_request_reply.
func Reply(request uint64, payload []byte) *Error {
	var err *C.libchat_error
	enter()
	return take(C.libchat_request_reply(C.libchat_request_id(request), bytesIn(payload), &err), err)
}

// Fail wraps libchat_request_fail.
func Fail(request uint64, code, text string) *Error {
	var t texts
	defer t.free()
	cCode, cText := t.of("code", code), t.of("text", text)
	if t.wrong != nil {
		return t.wrong
	}
	var err *C.libchat_error
	enter()
	return take(C.libchat_request_fail(C.libchat_request_id(request), cCode, cText, &err), err)
}

// StopResponder wraps libchat_responder_stop.
func StopResponder(responder uint64) {
	enter()
	C.libchat_responder_stop(C.libchat_responder(responder))
}

// CloseResponder wraps libchat_responder_close.
func CloseResponder(responder uint64) {
	enter()
	C.libchat_responder_close(C.libchat_responder(responder))
}
