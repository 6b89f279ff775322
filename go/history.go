package chat

import (
	"context"
	"math"

	"libchat.example/chat/internal/capi"
)

// History is a page of the past, oldest first.
type History struct {
	Messages []Message
	// Truncated says that a bound was reached before the end: go on with StartAfter(Next).
	Truncated bool
	Next      Cursor
	// Gaps are what expired or was purged while it was read.
	Gaps []Gap
	// Malformed is how many payloads were no message.
	Malformed int
}

// Limit bounds how many messages are read; 1,000 by default.
func Limit(messages uint32) HistoryOption {
	return historyOption(func(options *capi.HistoryOptions) { options.Limit = messages })
}

// MaxBytes bounds the bodies that are read, but one is; without a bound by default.
func MaxBytes(bytes uint64) HistoryOption {
	return historyOption(func(options *capi.HistoryOptions) { options.MaxBytes = bytes })
}

// Before has StartLast end before a place, for reading backwards: [Message.Cursor] of the oldest
// message read so far. Only with StartLast.
func Before(cursor Cursor) HistoryOption {
	return historyOption(func(options *capi.HistoryOptions) { options.Before = cursor.place })
}

// History reads past messages of thread, up to the stream's end as it is at the call; by default
// the oldest 1,000. Without a deadline in ctx it takes 30 s at most.
//
// It fails with ErrConflict when the cursor is another stream's, or the stream is made anew
// meanwhile.
func (m *Manager) History(
	ctx context.Context, thread string, options ...HistoryOption,
) (History, error) {
	assert(ctx != nil, "chat.History: ctx is nil")
	if m.closed.Load() {
		return History{}, ErrClosed
	}
	given := capi.HistoryOptions{Thread: thread, TimeoutMS: timeoutMS(ctx, 0)}
	for _, option := range options {
		option.history(&given)
	}
	if wrong := settle(&given); wrong != "" {
		return History{}, &Error{Code: ErrInvalidArgument, Op: "chat.History", Message: wrong}
	}
	var page History
	var found []capi.Event
	err := during(ctx, func(cancel uint64) (err *capi.Error) {
		found, page.Truncated, page.Next.place, err = capi.History(m.handle, &given, cancel)
		return err
	})
	if err != nil {
		return History{}, errorOf(ctx, "chat.History", err)
	}
	for i := range found {
		switch event := eventOf(&found[i]).(type) {
		case Message:
			page.Messages = append(page.Messages, event)
		case Gap:
			page.Gaps = append(page.Gaps, event)
		case Malformed:
			page.Malformed++
		}
	}
	return page, nil
}

// settle says what of the options does not go together, and puts StartLast's parts where C has
// them.
func settle(given *capi.HistoryOptions) (wrong string) {
	last := given.Start.Limit
	switch {
	case given.Start.Kind != capi.StartLast:
		if given.Before != (capi.Cursor{}) {
			return "Before: without StartLast"
		}
		return ""
	case last == 0:
		return "StartLast: 0 messages"
	}
	given.Start.Cursor = given.Before
	if given.Limit == 0 || last < uint64(given.Limit) {
		given.Limit = uint32(min(last, math.MaxUint32))
	}
	return ""
}
