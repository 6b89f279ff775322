package chat

import (
	"context"
	"errors"
	"time"

	"libchat.example/chat/internal/capi"
)

// reader takes the events of one watch, in one goroutine.
type reader struct {
	op     string
	handle uint64
	ready  *ready
	events []capi.Event
	at     int
}

var errStopped = errors.New("the watch was stopped")

// Setting up waits in C, and holds a thread: no more than this many of one manager at once.
const settingUpMax = 16

func (m *Manager) watch(
	ctx context.Context, op string, options capi.WatchOptions, otherwise time.Duration,
) (*reader, error) {
	if m.closed.Load() {
		return nil, ErrClosed
	}
	whole := ctx
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		whole, cancel = context.WithTimeout(ctx, otherwise)
		defer cancel()
	}
	select {
	case m.settingUp <- struct{}{}:
		defer func() { <-m.settingUp }()
	case <-m.done:
		return nil, ErrClosed
	case <-whole.Done():
		return nil, errorOf(whole, op, &capi.Error{
			Status: capi.Cancelled, Message: "others are set up, which takes too long",
		})
	}
	r := &reader{op: op}
	options.TimeoutMS = timeoutMS(whole, 0)
	err := during(whole, func(cancel uint64) (err *capi.Error) {
		r.handle, err = capi.Watch(m.handle, &options, cancel)
		return err
	})
	if err != nil {
		return nil, errorOf(whole, op, err)
	}
	fd, err := capi.WatchFD(r.handle)
	if err == nil {
		r.ready, err = newReady(fd)
	}
	if err != nil {
		capi.CloseWatch(r.handle)
		return nil, errorOf(ctx, op, err)
	}
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
	r.ready.until(func(uintptr) bool {
		r.events, status, failed = capi.TakeEvents(r.handle, batch, r.events[:0])
		return status != capi.Empty
	})
	r.at = 0
	switch {
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
	r.ready.close()
	capi.CloseWatch(r.handle)
}
