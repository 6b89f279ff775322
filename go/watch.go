package chat

import (
	"context"
	"log/slog"
	"time"

	"libchat.example/chat/internal/capi"
)

// Watch tells what is sent to thread after it has returned. The channel closes when ctx ends or the
// manager is closed. It is closed at once where the watch could not be set up, which the log says
// ([SetLogger]); [Manager.Messages] tells why. A slow reader loses nothing and holds up nobody.
func (m *Manager) Watch(ctx context.Context, thread string) <-chan Envelope {
	assert(m != nil, "chat.Watch: receiver is nil")
	assert(ctx != nil, "chat.Watch: ctx is nil")
	assert(thread != "", "chat.Watch: thread is empty")
	return m.channel(ctx, "chat.Watch", capi.WatchOptions{What: capi.Thread, Name: thread})
}

// WatchAll watches every thread of the project, as [Manager.Watch] does one.
func (m *Manager) WatchAll(ctx context.Context) <-chan Envelope {
	assert(m != nil, "chat.WatchAll: receiver is nil")
	assert(ctx != nil, "chat.WatchAll: ctx is nil")
	return m.channel(ctx, "chat.WatchAll", capi.WatchOptions{What: capi.All})
}

// WatchPattern watches the threads whose short matches pattern: "*", ">" or 8 hex digits, as NATS
// subjects have them. Otherwise it is as [Manager.Watch].
func (m *Manager) WatchPattern(ctx context.Context, pattern string) <-chan Envelope {
	assert(m != nil, "chat.WatchPattern: receiver is nil")
	assert(ctx != nil, "chat.WatchPattern: ctx is nil")
	assert(pattern != "", "chat.WatchPattern: pattern is empty")
	return m.channel(ctx, "chat.WatchPattern", capi.WatchOptions{What: capi.Pattern, Name: pattern})
}

func (m *Manager) channel(
	ctx context.Context, op string, options capi.WatchOptions,
) <-chan Envelope {
	r, err := m.watch(ctx, op, options, 5*time.Second)
	if err != nil {
		if ctx.Err() == nil && err != ErrClosed {
			report(slog.LevelWarn, "a watch could not be set up", "error", err)
		}
		out := make(chan Envelope)
		close(out)
		return out
	}
	out := make(chan Envelope, 16)
	fill := func() {
		defer close(out)
		defer r.close()
		defer context.AfterFunc(ctx, r.stop)()
		m.fill(ctx, out, r)
	}
	if !m.pump(fill) {
		r.close()
		close(out)
	}
	return out
}

// fill sends the messages that r reads, until one of the three ends.
func (m *Manager) fill(ctx context.Context, out chan<- Envelope, r *reader) {
	for {
		event, err := r.next()
		if err != nil {
			if err != errStopped && err != ErrClosed {
				report(slog.LevelWarn, "a watch has ended", "error", err)
			}
			return
		}
		if event.Kind != capi.EventMessage {
			passedOver(event)
			continue
		}
		select {
		case out <- envelopeOf(event):
		case <-ctx.Done():
			return
		case <-m.done:
			return
		}
	}
}
