package chat

import (
	"context"
	"iter"
	"sync"
	"time"

	"libchat.example/chat/internal/capi"
)

// Messages tells the messages of thread, once each and in stream order. The watch is set up when
// Messages is called: with StartNew, the default, it tells what is stored after Messages has
// returned. Range over it once; it is live before that, too. It ends when ctx ends or the loop is
// left, with [ErrClosed] when the manager is closed, and at once with an error when it could not be
// set up: ErrTimeout, ErrTooManySubscribers, ErrNotFound, ErrUnauthorized.
//
// Gaps and the like are counted ([Manager.Stats]), logged and passed over; [Manager.Events] tells
// them.
func (m *Manager) Messages(
	ctx context.Context, thread string, options ...WatchOption,
) iter.Seq2[Message, error] {
	assert(ctx != nil, "chat.Messages: ctx is nil")
	return messages(m.follow(ctx, "chat.Messages", capi.Thread, thread, options))
}

// MessagesAll tells the messages of every thread of the project, as [Manager.Messages] does.
func (m *Manager) MessagesAll(
	ctx context.Context, options ...WatchOption,
) iter.Seq2[Message, error] {
	assert(ctx != nil, "chat.MessagesAll: ctx is nil")
	return messages(m.follow(ctx, "chat.MessagesAll", capi.All, "", options))
}

// Events tells what happens in thread, messages and all. Otherwise it is as [Manager.Messages].
func (m *Manager) Events(
	ctx context.Context, thread string, options ...WatchOption,
) iter.Seq2[Event, error] {
	assert(ctx != nil, "chat.Events: ctx is nil")
	return events(m.follow(ctx, "chat.Events", capi.Thread, thread, options))
}

// EventsAll tells what happens in every thread of the project, as [Manager.Events] does.
func (m *Manager) EventsAll(ctx context.Context, options ...WatchOption) iter.Seq2[Event, error] {
	assert(ctx != nil, "chat.EventsAll: ctx is nil")
	return events(m.follow(ctx, "chat.EventsAll", capi.All, "", options))
}

func messages(each iter.Seq2[*capi.Event, error]) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for event, err := range each {
			switch {
			case err != nil:
				yield(Message{}, err)
				return
			case event.Kind != capi.EventMessage:
				passedOver(event)
			case !yield(messageOf(event), nil):
				return
			}
		}
	}
}

func events(each iter.Seq2[*capi.Event, error]) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for event, err := range each {
			if err != nil {
				yield(nil, err)
				return
			}
			if event := eventOf(event); event != nil && !yield(event, nil) {
				return
			}
		}
	}
}

// follow sets up a watch for one loop.
func (m *Manager) follow(
	ctx context.Context, op string, what int, name string, options []WatchOption,
) iter.Seq2[*capi.Event, error] {
	given := capi.WatchOptions{What: what, Name: name}
	for _, option := range options {
		option.watch(&given)
	}
	r, failed := m.watch(ctx, op, given, 10*time.Second)
	if failed != nil {
		return func(yield func(*capi.Event, error) bool) {
			if ctx.Err() == nil {
				yield(nil, failed)
			}
		}
	}
	var begin sync.Once
	// A watch over which nobody ranges ends with ctx.
	unlink := context.AfterFunc(ctx, func() {
		r.stop()
		begin.Do(r.close)
	})
	return func(yield func(*capi.Event, error) bool) {
		isFirst := false
		begin.Do(func() { isFirst = true })
		if !isFirst {
			if ctx.Err() == nil {
				yield(nil, &Error{
					Code: ErrInvalidState, Op: op, Message: "this watch has had its loop: make another",
				})
			}
			return
		}
		defer r.close()
		defer unlink()
		for {
			event, err := r.next()
			if err == errStopped || ctx.Err() != nil || !yield(event, err) || err != nil {
				return
			}
		}
	}
}
