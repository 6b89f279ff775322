package chat

import (
	"context"
	"errors"
	"os"
	"syscall"

	"libchat.example/chat/internal/capi"
)

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
