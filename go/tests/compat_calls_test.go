package tests

import (
	"context"
	"errors"
	"sync"
	"testing"

	"libchat.example/chat"
)

func echo(payload []byte) ([]byte, error) { return payload, nil }

// panicOf is what call panics with; nil if it does not.
func panicOf(call func()) (value any) {
	defer func() { value = recover() }()
	call()
	return nil
}

func TestAMistakeInTheProgramPanicsWithTheTextOfTheOriginal(t *testing.T) {
	m := open(t, "ana")
	ctx, none, nobody := t.Context(), context.Context(nil), (*chat.Manager)(nil)
	for text, call := range map[string]func(){
		"chat.Open: ctx is nil": func() { chat.Open(none, chat.Config{}) },

		"chat.Close: receiver is nil": func() { nobody.Close() },

		"chat.Send: receiver is nil": func() { nobody.Send(none, "", "") },
		"chat.Send: ctx is nil":      func() { m.Send(none, "", "") },
		"chat.Send: thread is empty": func() { m.Send(ctx, "", "") },

		"chat.Watch: receiver is nil": func() { nobody.Watch(none, "") },
		"chat.Watch: ctx is nil":      func() { m.Watch(none, "") },
		"chat.Watch: thread is empty": func() { m.Watch(ctx, "") },

		"chat.WatchAll: receiver is nil": func() { nobody.WatchAll(none) },
		"chat.WatchAll: ctx is nil":      func() { m.WatchAll(none) },

		"chat.WatchPattern: receiver is nil":  func() { nobody.WatchPattern(none, "") },
		"chat.WatchPattern: ctx is nil":       func() { m.WatchPattern(none, "") },
		"chat.WatchPattern: pattern is empty": func() { m.WatchPattern(ctx, "") },

		"chat.Request: receiver is nil":  func() { nobody.Request(none, "", nil) },
		"chat.Request: ctx is nil":       func() { m.Request(none, "", nil) },
		"chat.Request: subject is empty": func() { m.Request(ctx, "", nil) },

		"chat.Respond: receiver is nil":  func() { nobody.Respond("", nil) },
		"chat.Respond: subject is empty": func() { m.Respond("", nil) },
		"chat.Respond: handler is nil":   func() { m.Respond("tests.compat", nil) },

		// These have no assert of their receiver.
		"chat.ListThreads: ctx is nil":           func() { nobody.ListThreads(none) },
		"chat.ThreadsForAgent: ctx is nil":       func() { nobody.ThreadsForAgent(none, "", 1) },
		"chat.ThreadsForAgent: agentID is empty": func() { nobody.ThreadsForAgent(ctx, "", 1) },
	} {
		if got := panicOf(call); got != "assert: "+text {
			t.Errorf("%s: panicked with %v", text, got)
		}
	}
}

func TestTheListsDereferenceANilReceiver(t *testing.T) {
	nobody := (*chat.Manager)(nil)
	for name, call := range map[string]func(){
		"ListThreads":     func() { nobody.ListThreads(t.Context()) },
		"ThreadsForAgent": func() { nobody.ThreadsForAgent(t.Context(), "ana", 1) },
	} {
		if err, ok := panicOf(call).(error); !ok {
			t.Errorf("%s: no nil dereference: %v", name, err)
		}
	}
}

// The calls that answer an error; the original has no others.
func callsOf(m *chat.Manager) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Send": func(ctx context.Context) error { return m.Send(ctx, "plan", "x") },
		"Request": func(ctx context.Context) error {
			_, err := m.Request(ctx, "tests.nobody", nil)
			return err
		},
		"Respond": func(context.Context) error {
			_, err := m.Respond("tests.nobody", echo)
			return err
		},
		"ListThreads": func(ctx context.Context) error {
			_, err := m.ListThreads(ctx)
			return err
		},
		"ThreadsForAgent": func(ctx context.Context) error {
			_, err := m.ThreadsForAgent(ctx, "ana", 1)
			return err
		},
	}
}

func watchesOf(m *chat.Manager, ctx context.Context) map[string]<-chan chat.Envelope {
	return map[string]<-chan chat.Envelope{
		"Watch":        m.Watch(ctx, "plan"),
		"WatchAll":     m.WatchAll(ctx),
		"WatchPattern": m.WatchPattern(ctx, "*"),
	}
}

// isClosed says whether a channel is closed by now, without a message in it.
func isClosed(channel <-chan chat.Envelope) bool {
	select {
	case _, isOpen := <-channel:
		return !isOpen
	default:
		return false
	}
}

func TestAfterCloseEveryCallAnswersErrClosedBareAndWatchesAreClosed(t *testing.T) {
	m := open(t, "ana")
	check(t, m.Close())
	for _, ctx := range []context.Context{t.Context(), ended(t, context.Canceled)} {
		for name, call := range callsOf(m) {
			if err := call(ctx); err != chat.ErrClosed {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, channel := range watchesOf(m, ctx) {
			if !isClosed(channel) {
				t.Errorf("%s: not closed", name)
			}
		}
	}
	same(t, chat.ErrClosed.Error(), "chat: manager is closed")
}

func TestAMistakeInTheProgramPanicsAfterCloseToo(t *testing.T) {
	m := open(t, "ana")
	check(t, m.Close())
	for text, call := range map[string]func(){
		"chat.Send: thread is empty":             func() { m.Send(t.Context(), "", "") },
		"chat.Watch: thread is empty":            func() { m.Watch(t.Context(), "") },
		"chat.WatchAll: ctx is nil":              func() { m.WatchAll(nil) },
		"chat.WatchPattern: pattern is empty":    func() { m.WatchPattern(t.Context(), "") },
		"chat.Request: subject is empty":         func() { m.Request(t.Context(), "", nil) },
		"chat.Respond: handler is nil":           func() { m.Respond("tests.compat", nil) },
		"chat.ListThreads: ctx is nil":           func() { m.ListThreads(nil) },
		"chat.ThreadsForAgent: agentID is empty": func() { m.ThreadsForAgent(t.Context(), "", 1) },
	} {
		if got := panicOf(call); got != "assert: "+text {
			t.Errorf("%s: panicked with %v", text, got)
		}
	}
}

func TestCloseAnswersNilHoweverOftenAndFromWhereverItIsCalled(t *testing.T) {
	m := open(t, "ana")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { same(t, m.Close(), nil) })
	}
	all.Wait()
	same(t, m.Close(), nil)
}

func TestADoneContextIsSentsBareErrorAndWrappedByTheOthers(t *testing.T) {
	m := open(t, "ana")
	for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
		ctx := ended(t, cause)
		if err := m.Send(ctx, "plan", "x"); err != cause {
			t.Errorf("Send: %v", err)
		}
		for name, call := range callsOf(m) {
			if name == "Respond" { // it has no context
				continue
			}
			if err := call(ctx); !errors.Is(err, cause) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, channel := range watchesOf(m, ctx) {
			if !isClosed(channel) {
				t.Errorf("%s: not closed", name)
			}
		}
		_, err := m.Request(ctx, "tests.nobody", nil)
		same(t, err.Error(), "chat.Request: "+cause.Error())
	}
	threads, err := m.ListThreads(t.Context())
	check(t, err)
	same(t, len(threads), 0)
}

// A difference from the original, whose Close leaves watches and responders running.
func TestCloseEndsRunningWatchesAndResponders(t *testing.T) {
	m, ben := open(t, "ana"), open(t, "ben")
	_, err := m.Respond("tests.close", echo)
	check(t, err)
	channels := watchesOf(m, context.Background())
	check(t, m.Close())
	for name, channel := range channels {
		untilClosed(t, name, channel)
	}
	_, err = ben.Request(t.Context(), "tests.close", nil)
	if !errors.Is(err, chat.ErrNoResponders) {
		t.Error(err)
	}
}
