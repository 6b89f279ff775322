package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"libchat.example/chat/internal/capi"
)

// ErrClosed is what every call answers once its manager is closed.
var ErrClosed = errors.New("chat: manager is closed")

// Code is the kind of a failure. Each is an error, so that errors.Is finds it:
//
//	if errors.Is(err, chat.ErrOutcomeUnknown) {
type Code int32

// The kinds of failure. Of a send that failed the message is not stored, but for
// [ErrOutcomeUnknown] and [ErrPanic].
const (
	// ErrInvalidArgument: fix the call; an argument or option breaks its rule.
	ErrInvalidArgument = Code(capi.InvalidArgument)
	// ErrInvalidState: fix the order of calls.
	ErrInvalidState = Code(capi.InvalidState)
	// ErrUnsupported: the library that is linked is older than this package.
	ErrUnsupported = Code(capi.Unsupported)
	// ErrForked: this process is a fork of one that had opened something.
	ErrForked = Code(capi.Forked)
	// ErrSystem: the machine refused a file or a thread.
	ErrSystem = Code(capi.System)
	// ErrTimeout: nothing came in time; of a send, nothing was sent. It matches
	// [context.DeadlineExceeded].
	ErrTimeout = Code(capi.Timeout)
	// ErrDisconnected: there is no server; a connection that was made reconnects by itself.
	ErrDisconnected = Code(capi.Disconnected)
	// ErrUnauthorized: ask the operator for the right that the text names.
	ErrUnauthorized = Code(capi.Unauthorized)
	// ErrNoResponders: nobody listens there.
	ErrNoResponders = Code(capi.NoResponders)
	// ErrOutcomeUnknown: the message may be stored. Send it again with the same id (Error.ID): the
	// server drops the copy.
	ErrOutcomeUnknown = Code(capi.OutcomeUnknown)
	// ErrRemote: the handler failed, and said so in Error.RemoteCode.
	ErrRemote = Code(capi.Remote)
	// ErrCancelled: the context ended the call; nothing was stored. It matches the context's error.
	ErrCancelled = Code(capi.Cancelled)
	// ErrNotFound: there is no such stream or message.
	ErrNotFound = Code(capi.NotFound)
	// ErrConflict: what is there is not what was expected.
	ErrConflict = Code(capi.Conflict)
	// ErrTooLarge: the server's limit is smaller.
	ErrTooLarge = Code(capi.TooLarge)
	// ErrTooManySubscribers: the manager has as many watches as it may.
	ErrTooManySubscribers = Code(capi.TooManySubscribers)
	// ErrServer: any other answer of the server; see Error.ServerCode.
	ErrServer = Code(capi.Server)
	// ErrPanic: a bug in libchat; please report it.
	ErrPanic = Code(capi.Panic)
)

const codeClosed = Code(capi.Closed)

// Error says the code's name, as "chat: OUTCOME_UNKNOWN".
func (c Code) Error() string { return "chat: " + c.String() }

// String is the code's name, as "OUTCOME_UNKNOWN".
func (c Code) String() string { return capi.StatusName(capi.Status(c)) }

// Error is why a call failed. errors.Is matches its Code, the context's error where a context
// ended the call, and the errors of nats.go that the original package answered.
type Error struct {
	Code Code
	// Op is the call, as "chat.Send".
	Op string
	// Message says what was tried, on what, and why it failed. It holds no body and no secret.
	Message string
	// Hint says what to do about it; or "".
	Hint string
	// ID is that of the message a send was about: send it again with this id.
	ID string
	// RemoteCode is the code that a handler failed with, for ErrRemote.
	RemoteCode string
	// ServerCode is the err_code of JetStream's answer; or 0.
	ServerCode uint32
	// Retryable says whether the same call may succeed later and repeating it does no harm.
	Retryable bool

	text    string // what the original said, in calls that it has
	matches string // the text of an error of nats.go, beside those of natsTexts
	cause   error  // of the context
}

// Error is Op and Message; in the calls of the original package it is the original's text where
// that has one for this failure.
func (e *Error) Error() string {
	if e.text != "" {
		return e.Op + ": " + e.text
	}
	return e.Op + ": " + e.Message
}

// Unwrap gives the context's error where a context ended the call.
func (e *Error) Unwrap() error { return e.cause }

// Errors of nats.go that callers of the original look for, by their text: this package does not
// import nats.go.
var natsTexts = map[Code][]string{
	ErrNoResponders: {"nats: no responders available for request"},
	ErrTooLarge:     {"nats: maximum payload exceeded"},
	ErrNotFound: {
		"nats: no response from stream",
		"nats: API error: code=404 err_code=10059 description=stream not found",
	},
	ErrTimeout:        {"nats: timeout"},
	ErrOutcomeUnknown: {"nats: timeout"},
	ErrUnauthorized:   {"nats: authorization violation"},
	ErrDisconnected:   {"nats: no servers available for connection"},
}

// Is reports whether target is this failure's code, or what the original answered in its place.
func (e *Error) Is(target error) bool {
	if code, ok := target.(Code); ok {
		return code == e.Code
	}
	switch target {
	case ErrClosed:
		return e.Code == codeClosed
	case context.DeadlineExceeded:
		// The original gave every call a deadline by a context.
		return e.cause == nil && (e.Code == ErrTimeout || e.Code == ErrOutcomeUnknown)
	}
	text := target.Error()
	return text != "" && (text == e.matches || slices.Contains(natsTexts[e.Code], text))
}

// errorOf says a failure of libchat as an error of `op`; nil for nil.
func errorOf(ctx context.Context, op string, failed *capi.Error) error {
	if failed == nil {
		return nil
	}
	if failed.Status == capi.Closed {
		return ErrClosed
	}
	e := &Error{
		Code:       Code(failed.Status),
		Op:         op,
		Message:    failed.Message,
		Hint:       failed.Hint,
		ID:         failed.ID,
		RemoteCode: failed.RemoteCode,
		ServerCode: failed.ServerCode,
		Retryable:  failed.Retryable,
	}
	switch e.Code {
	case ErrCancelled, ErrTimeout, ErrOutcomeUnknown:
		e.cause = ctx.Err()
	}
	if e.Code == ErrCancelled && e.cause == context.DeadlineExceeded {
		e.Code, e.Message = ErrTimeout, "the context's deadline has passed"
	}
	return e
}

// inOriginalWords gives an error the text that the original has for it.
func inOriginalWords(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	cause := e.cause
	if cause == nil && (e.Code == ErrTimeout || e.Code == ErrOutcomeUnknown) {
		cause = context.DeadlineExceeded
	}
	switch {
	case e.Code == ErrOutcomeUnknown:
		// Truth first: a caller that reads only the text must not take it for a plain failure.
		e.text = fmt.Sprintf("%v: the message may be stored", cause)
	case cause != nil:
		e.text = cause.Error()
	case e.Code == ErrInvalidArgument && e.Op == "chat.Respond":
		e.matches = "nats: invalid subject"
	case e.Code == ErrRemote && e.RemoteCode == "unanswered":
		// The responder was ended meanwhile: the original finds nobody.
		e.text = natsTexts[ErrNoResponders][0]
		e.matches = e.text
	case e.Code == ErrNoResponders, e.Code == ErrTooLarge,
		e.Code == ErrNotFound && e.Op == "chat.Send":
		e.text = natsTexts[e.Code][0]
	}
	return e
}

// assert panics as the original does: a nil or an empty name is a mistake in the program.
func assert(holds bool, text string) {
	if !holds {
		panic("assert: " + text)
	}
}
