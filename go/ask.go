package chat

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"libchat.example/chat/internal/capi"
)

// Request sends payload to whoever listens on subject, and answers the first reply. Without a
// deadline in ctx it waits for ever.
func (m *Manager) Request(ctx context.Context, subject string, payload []byte) ([]byte, error) {
	assert(m != nil, "chat.Request: receiver is nil")
	assert(ctx != nil, "chat.Request: ctx is nil")
	assert(subject != "", "chat.Request: subject is empty")
	reply, err := m.request(ctx, "chat.Request", &capi.Asking{
		Subject: subject, Payload: payload, TimeoutMS: capi.Infinite,
	})
	return reply, inOriginalWords(err)
}

// Ask asks an agent of this project, and answers its reply. Without a deadline in ctx it takes 30 s
// at most. Nothing is stored.
//
// It fails with
//   - ErrNoResponders: the agent is away; told at once.
//   - ErrTimeout: no answer came in time; whether it was handled is not known.
//   - ErrRemote: the handler failed: Error.RemoteCode and Error.Message.
//   - ErrCancelled: ctx ended; it may have been handled.
//   - ErrTooLarge: the server's limit is smaller.
func (m *Manager) Ask(ctx context.Context, agent string, payload []byte) ([]byte, error) {
	assert(ctx != nil, "chat.Ask: ctx is nil")
	if agent == "" {
		return nil, &Error{Code: ErrInvalidArgument, Op: "chat.Ask", Message: "agent: is empty"}
	}
	return m.request(ctx, "chat.Ask", &capi.Asking{Agent: agent, Payload: payload})
}

func (m *Manager) request(ctx context.Context, op string, asking *capi.Asking) ([]byte, error) {
	if m.closed.Load() {
		return nil, ErrClosed
	}
	asking.Headers = Headers(nil).withTrace(ctx)
	asking.TimeoutMS = timeoutMS(ctx, asking.TimeoutMS)
	var reply []byte
	err := during(ctx, func(cancel uint64) (err *capi.Error) {
		reply, err = capi.Request(m.handle, asking, cancel)
		return err
	})
	return reply, errorOf(ctx, op, err)
}

// Respond has handler answer what is asked on subject, one request after the other. A handler that
// fails gives no reply to a plain NATS requester; one of libchat is told ErrRemote. The function
// that it returns ends it, any number of times.
func (m *Manager) Respond(
	subject string, handler func(payload []byte) ([]byte, error),
) (func() error, error) {
	assert(m != nil, "chat.Respond: receiver is nil")
	assert(subject != "", "chat.Respond: subject is empty")
	assert(handler != nil, "chat.Respond: handler is nil")
	given := capi.RespondOptions{Subject: subject, Concurrency: 1, AnswerTimeoutMS: capi.Infinite}
	r, err := m.respond(context.Background(), "chat.Respond", given,
		func(_ context.Context, request Request) ([]byte, error) { return handler(request.Payload) })
	if err != nil {
		return nil, inOriginalWords(err)
	}
	return r.Close, nil
}

// Request is what a handler is asked.
type Request struct {
	Subject string
	Payload []byte
	Headers Headers
}

// Handler answers a request. Its context has the trace context of the request and ends with the
// responder, or when it is too late for an answer. An [*Error] with a RemoteCode, of at most 64
// letters, digits, "_", "-" or ".", is told to who asks; of another error only that there was one.
type Handler func(ctx context.Context, request Request) ([]byte, error)

// AnswerOption says how to answer: [Concurrency], [QueueGroup], [AnswerTimeout], [OnSubject].
type AnswerOption func(*capi.RespondOptions)

// Concurrency is how many requests may be handled at once; 1 by default. 256 more are held, others
// are told "busy".
func Concurrency(n uint32) AnswerOption {
	return func(options *capi.RespondOptions) { options.Concurrency = n }
}

// QueueGroup has each request answered by one of the group.
func QueueGroup(name string) AnswerOption {
	return func(options *capi.RespondOptions) { options.QueueGroup = name }
}

// AnswerTimeout is after which time a request has failed; 30 s by default.
func AnswerTimeout(d time.Duration) AnswerOption {
	return func(options *capi.RespondOptions) {
		options.AnswerTimeoutMS = uint32(min(max(d.Milliseconds(), 1), int64(capi.Infinite)))
	}
}

// OnSubject answers on any subject, instead of what is asked of this agent.
func OnSubject(subject string) AnswerOption {
	return func(options *capi.RespondOptions) { options.Subject = subject }
}

// Answer has handler answer what is asked of this agent, until the responder or the manager is
// closed. It returns when the server knows of it; ctx bounds that, 10 s without a deadline.
func (m *Manager) Answer(
	ctx context.Context, handler Handler, options ...AnswerOption,
) (*Responder, error) {
	assert(ctx != nil, "chat.Answer: ctx is nil")
	assert(handler != nil, "chat.Answer: handler is nil")
	given := capi.RespondOptions{Concurrency: 1, AnswerTimeoutMS: 30_000}
	for _, option := range options {
		option(&given)
	}
	return m.respond(ctx, "chat.Answer", given, handler)
}

// Responder answers requests until it is closed.
type Responder struct {
	handle  atomic.Uint64
	handler Handler
	timeout time.Duration // 0: none
	ctx     context.Context
	cancel  context.CancelFunc
	stopped atomic.Bool
	done    chan struct{}
}

func (m *Manager) respond(
	ctx context.Context, op string, given capi.RespondOptions, handler Handler,
) (*Responder, error) {
	r := &Responder{handler: handler, done: make(chan struct{})}
	if given.AnswerTimeoutMS != capi.Infinite {
		r.timeout = time.Duration(given.AnswerTimeoutMS) * time.Millisecond
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	given.TimeoutMS = timeoutMS(ctx, 0)

	token, err := m.add(r)
	if err != nil {
		return nil, err
	}
	var handle uint64
	failed := during(ctx, func(cancel uint64) (err *capi.Error) {
		handle, err = capi.Respond(m.handle, m.notes.fd, token, &given, cancel)
		return err
	})
	if failed != nil {
		r.cancel()
		m.mu.Lock()
		delete(m.responders, token)
		m.mu.Unlock()
		return nil, errorOf(ctx, op, failed)
	}
	r.handle.Store(handle)
	select {
	case <-r.done: // ended already, when the handle was not known yet
		capi.CloseResponder(handle)
	default:
	}
	return r, nil
}

// add gives a responder its token, by which it is told requests: the first may come before
// capi.Respond has returned.
func (m *Manager) add(r *Responder) (token uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed.Load() {
		return 0, ErrClosed
	}
	if m.notes == nil {
		if m.notes, err = newPipe(m.take); err != nil {
			return 0, &Error{Code: ErrSystem, Op: "chat.Answer", Message: err.Error(), cause: err}
		}
	}
	m.last++
	m.responders[m.last] = r
	return m.last, nil
}

// Close takes no further requests; those being handled are still answered. Again: nil.
func (r *Responder) Close() error {
	r.stopped.Store(true)
	capi.StopResponder(r.handle.Load())
	return nil
}

// Done is closed at the end: by Close, once the last request is answered, or by the manager's.
func (r *Responder) Done() <-chan struct{} { return r.done }

// serve answers one request, in a goroutine of its own.
func (r *Responder) serve(note capi.Note) {
	isOpen := true
	defer func() { // also when the handler ends its goroutine
		if isOpen {
			fail(note.Request, "unanswered", "the handler gave no answer")
		}
	}()
	if r.stopped.Load() {
		return
	}
	headers := headersOf(note.Headers)
	ctx := headers.context(r.ctx)
	if r.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.timeout)
		defer cancel()
	}
	reply, err := r.handler(ctx, Request{note.Subject, note.Payload, headers})
	isOpen = false
	var failure *Error
	switch {
	case err == nil:
		told(capi.Reply(note.Request, reply))
	case errors.As(err, &failure) && failure.RemoteCode != "":
		fail(note.Request, failure.RemoteCode, failure.Message)
	default:
		report(slog.LevelDebug, "a handler failed", "error", err)
		fail(note.Request, handlerFailed, handlerFailedText)
	}
}

// What is told of a failure that has no code, or none that can be told.
const (
	handlerFailed     = "handler_failed"
	handlerFailedText = "the handler failed; its own log says why"
)

// fail says that a request failed; one that is not answered at all would hold up the next.
func fail(request uint64, code, text string) {
	err := capi.Fail(request, code, text)
	if err != nil && err.Status == capi.InvalidArgument {
		report(slog.LevelWarn, "a handler's failure has no usable code or text", "error", err.Message)
		err = capi.Fail(request, handlerFailed, handlerFailedText)
	}
	told(err)
}

// told logs an answer that could not be sent: whoever asked waits out its own time.
func told(err *capi.Error) {
	if err != nil {
		report(slog.LevelDebug, "an answer could not be sent", "error", err.Message)
	}
}

// end is told once no request will come any more.
func (r *Responder) end() {
	r.cancel()
	close(r.done)
	if handle := r.handle.Load(); handle != 0 {
		capi.CloseResponder(handle)
	}
}
