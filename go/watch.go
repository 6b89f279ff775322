package chat

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"os"
	"sync"
	"syscall"
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
	options.TimeoutMS = 5000
	r, err := m.watch(ctx, op, options)
	if err != nil {
		if ctx.Err() == nil && err != ErrClosed {
			report(slog.LevelWarn, "a watch could not be set up", "error", err)
		}
		out := make(chan Envelope)
		close(out)
		return out
	}
	out := make(chan Envelope, 16)
	m.pumps.Go(func() {
		defer close(out)
		defer r.close()
		defer context.AfterFunc(ctx, r.stop)()
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
	})
	return out
}

// WatchOption says how to watch: a [Start], or [SkipOwn], [ByShort], [Queue].
type WatchOption interface{ watch(*capi.WatchOptions) }

// HistoryOption says what of the past to read: a [Start], or [ByShort], [Limit], [MaxBytes].
type HistoryOption interface{ history(*capi.HistoryOptions) }

// Start says where a watch or a history begins.
type Start struct{ from capi.Start }

func (s Start) watch(options *capi.WatchOptions)     { options.Start = s.from }
func (s Start) history(options *capi.HistoryOptions) { options.Start = s.from }

// StartNew begins with what is stored after the call: the default of a watch.
func StartNew() Start { return Start{} }

// StartAll begins with the oldest message stored: the default of a history.
func StartAll() Start { return Start{capi.Start{Kind: capi.StartAll}} }

// StartAfter begins behind a place. One that is not of today's stream gives [Reset] and then
// everything in a watch, ErrConflict in a history.
func StartAfter(cursor Cursor) Start {
	return Start{capi.Start{Kind: capi.StartAfter, Cursor: cursor.place}}
}

// StartTime begins with the first message stored at that time or later, by the server's clock.
func StartTime(t time.Time) Start {
	return Start{capi.Start{Kind: capi.StartTime, TimeNS: t.UnixNano()}}
}

// StartLast begins with the last n messages.
func StartLast(n uint64) Start { return Start{capi.Start{Kind: capi.StartLast, Limit: n}} }

type watchOption func(*capi.WatchOptions)

func (o watchOption) watch(options *capi.WatchOptions) { o(options) }

type historyOption func(*capi.HistoryOptions)

func (o historyOption) history(options *capi.HistoryOptions) { o(options) }

// SkipOwn leaves out what this agent wrote itself.
func SkipOwn() WatchOption {
	return watchOption(func(options *capi.WatchOptions) { options.SkipOwn = true })
}

// Queue bounds what is held for a slow reader; 0 is 256 events, or 8 MiB. What has no room is read
// from the stream later.
func Queue(events uint32, bytes uint64) WatchOption {
	return watchOption(func(options *capi.WatchOptions) {
		options.Queue, options.QueueBytes = events, bytes
	})
}

// ByShort says that the thread is given by its 8 hex digits, not by its name.
func ByShort() interface {
	WatchOption
	HistoryOption
} {
	return byShort{}
}

type byShort struct{}

func (byShort) watch(options *capi.WatchOptions)     { options.ByShort = true }
func (byShort) history(options *capi.HistoryOptions) { options.ByShort = true }

// Messages tells the messages of thread, once each and in stream order. The watch is set up when
// Messages is called: with StartNew, the default, it tells what is stored after Messages has
// returned. Range over it once. It ends when ctx ends or the loop is left, with [ErrClosed] when
// the manager is closed, and at once with an error when it could not be set up: ErrTimeout,
// ErrTooManySubscribers, ErrNotFound, ErrUnauthorized.
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
	r, failed := m.watch(ctx, op, given)
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
			if err == errStopped || !yield(event, err) || err != nil {
				return
			}
		}
	}
}

// reader takes the events of one watch, in one goroutine.
type reader struct {
	op     string
	handle uint64
	file   *os.File
	wait   syscall.RawConn
	events []capi.Event
	at     int
}

var errStopped = errors.New("the watch was stopped")

// Setting up waits in C, and holds a thread: no more than this many at once in the process.
var settingUp = make(chan struct{}, 16)

func (m *Manager) watch(
	ctx context.Context, op string, options capi.WatchOptions,
) (*reader, error) {
	if m.closed.Load() {
		return nil, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	options.TimeoutMS = timeoutMS(ctx, options.TimeoutMS)
	select {
	case settingUp <- struct{}{}:
	case <-m.done:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r := &reader{op: op}
	err := during(ctx, func(cancel uint64) (err *capi.Error) {
		r.handle, err = capi.Watch(m.handle, &options, cancel)
		return err
	})
	<-settingUp
	if err != nil {
		return nil, errorOf(ctx, op, err)
	}
	fd, err := capi.WatchFD(r.handle)
	if err != nil {
		capi.CloseWatch(r.handle)
		return nil, errorOf(ctx, op, err)
	}
	r.file = os.NewFile(fd, "libchat watch")
	wait, failed := r.file.SyscallConn()
	if failed != nil {
		r.close()
		return nil, &Error{Code: ErrSystem, Op: op, Message: failed.Error(), cause: failed}
	}
	r.wait = wait
	return r, nil
}

// How many events are taken at once.
const batch = 64

// next waits for an event, which is good until the next call; errStopped after stop.
func (r *reader) next() (*capi.Event, error) {
	if r.at++; r.at < len(r.events) {
		return &r.events[r.at], nil
	}
	clear(r.events) // for the collector: their texts
	status, failed := capi.Empty, (*capi.Error)(nil)
	err := r.wait.Read(func(uintptr) bool {
		r.events, status, failed = capi.TakeEvents(r.handle, batch, r.events[:0])
		return status != capi.Empty
	})
	r.at = 0
	switch {
	case err != nil:
		return nil, &Error{Code: ErrSystem, Op: r.op, Message: err.Error(), cause: err}
	case status == capi.End:
		return nil, errStopped
	case failed != nil:
		return nil, errorOf(context.Background(), r.op, failed)
	}
	return &r.events[0], nil
}

// stop ends the watch, from any goroutine; next says so.
func (r *reader) stop() { capi.StopWatch(r.handle) }

// close gives back what the watch has, once nobody is in next.
func (r *reader) close() {
	r.file.Close()
	capi.CloseWatch(r.handle)
}
