package tests

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"libchat.example/chat"
)

// cancelMid calls, and cancels once the call is in a function; it answers the call's error.
func cancelMid(t testing.TB, function string, call func(context.Context) error) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- call(ctx) }()
	underWay(t, function, 1)
	begin := time.Now()
	cancel()
	err := <-ended
	took := time.Since(begin)
	if t.Logf("%s: %v: %v", function, took, err); took > time.Second {
		t.Errorf("%s: took %v", function, took)
	}
	return err
}

// waiting is a call that waits for the server.
type waiting struct {
	in   string // a function that it waits in
	text string // what it says once it is cancelled, where the original says something
	call func(context.Context) error
}

func TestACancelledCallOnAFrozenServerReturnsAtOnceAndLeavesNothing(t *testing.T) {
	if !alone(t) {
		return
	}
	server := startServer(t)
	m := server.open(t, "ana")
	check(t, m.Send(t.Context(), "plan", "x"))
	server.Freeze(t)
	round := func() {
		for _, w := range waitingsOf(t, m, server.URL) {
			err := cancelMid(t, w.in, w.call)
			if !errors.Is(err, context.Canceled) || errors.Is(err, chat.ErrOutcomeUnknown) ||
				w.text != "" && err.Error() != w.text {
				t.Errorf("%s: %v", w.in, err)
			}
		}
	}
	round() // what a manager makes once is there then
	before := levelNow(t)
	for range 10 {
		round()
	}
	backTo(t, before)
}

func waitingsOf(t testing.TB, m *chat.Manager, url string) []waiting {
	cfg := config(t, "ana")
	cfg.URL = url
	return []waiting{
		{"capi.Request", "chat.Request: context canceled", func(ctx context.Context) error {
			_, err := m.Request(ctx, subject(t), nil)
			return err
		}},
		{"capi.ListThreads", "chat.ListThreads: context canceled", func(ctx context.Context) error {
			_, err := m.ListThreads(ctx)
			return err
		}},
		{"capi.ThreadsForAgent", "chat.ThreadsForAgent: context canceled",
			func(ctx context.Context) error {
				_, err := m.ThreadsForAgent(ctx, "ana", 9)
				return err
			}},
		{"capi.Watch(", "", func(ctx context.Context) error {
			untilClosed(t, "Watch", m.Watch(ctx, "plan"))
			return ctx.Err()
		}},
		{"capi.Connect", "", func(ctx context.Context) error {
			_, err := chat.Open(ctx, cfg)
			return err
		}},
		{"capi.History", "", func(ctx context.Context) error {
			_, err := m.History(ctx, "plan")
			return err
		}},
		{"chat.(*Manager).Ask", "", func(ctx context.Context) error {
			_, err := m.Ask(ctx, "ben", nil)
			return err
		}},
		{"chat.(*Manager).Answer", "", func(ctx context.Context) error {
			_, err := m.Answer(ctx, func(context.Context, chat.Request) ([]byte, error) {
				return nil, nil
			})
			return err
		}},
	}
}

func TestAFrozenServerHoldsUpNoWatchOfAnother(t *testing.T) {
	server := startServer(t)
	m, other := server.open(t, "ana"), open(t, "ben")
	server.Freeze(t)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { m.Watch(ctx, "plan") })
	}
	underWay(t, "chat.(*Manager).Watch", 100)
	begin := time.Now()
	channel := other.Watch(t.Context(), "plan")
	took := time.Since(begin)
	if t.Logf("took %v", took); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	check(t, other.Send(t.Context(), "plan", "x"))
	same(t, receive(t, within(t, 20*time.Second), channel).Body, "x")
	cancel()
	all.Wait()
}

func TestACancelledSendOnAFrozenServerSaysTheTruthAndLeavesNothing(t *testing.T) {
	if !alone(t) {
		return
	}
	server := startServer(t)
	m := server.open(t, "ana")
	check(t, m.Send(t.Context(), "plan", "first"))
	server.Freeze(t)
	before := levelNow(t)
	isUnknown := map[string]bool{}
	cancelled := func(thread, body string) {
		err := cancelMid(t, "chat.(*Sending).finish", func(ctx context.Context) error {
			return m.Send(ctx, thread, body)
		})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		isUnknown[body] = errors.Is(err, chat.ErrOutcomeUnknown)
		if !isUnknown[body] && !errors.Is(err, chat.ErrCancelled) {
			t.Error(err)
		}
	}
	for i := range 20 {
		cancelled(fmt.Sprint("thread ", i), fmt.Sprint(i))
	}
	// Behind another of its thread it cannot have been sent.
	other, err := m.SendAsync(t.Context(), chat.Outgoing{Thread: "plan", Body: "second"})
	check(t, err)
	for i := range 20 {
		body := fmt.Sprint("behind ", i)
		cancelled("plan", body)
		same(t, isUnknown[body], false)
	}
	server.Thaw(t)
	_, err = other.Wait(within(t, 20*time.Second))
	check(t, err)
	backTo(t, before)
	for message, err := range m.MessagesAll(t.Context(), chat.StartAll()) {
		check(t, err)
		if message.Body == "last" {
			break
		}
		if isWritten, isOurs := isUnknown[message.Body]; isOurs && !isWritten {
			t.Errorf("%s is stored, and was said not to be", message.Body)
		}
		if message.Body == "second" {
			check(t, m.Send(t.Context(), "plan", "last"))
		}
	}
}

func TestAListCutByItsDeadlineIsAnError(t *testing.T) {
	server := startServer(t)
	m := server.open(t, "ana")
	const count = 1000
	var under []*chat.Sending
	for i := range count {
		sending, err := m.SendAsync(t.Context(), chat.Outgoing{Thread: fmt.Sprint(i), Body: "x"})
		check(t, err)
		under = append(under, sending)
	}
	for _, sending := range under {
		_, err := sending.Wait(t.Context())
		check(t, err)
	}
	lists := map[string]func(context.Context) ([]chat.ThreadSummary, error){
		"ListThreads": m.ListThreads,
		"ThreadsForAgent": func(ctx context.Context) ([]chat.ThreadSummary, error) {
			return m.ThreadsForAgent(ctx, "ana", count)
		},
	}
	try := func(allowed time.Duration) (cut int) {
		for name, list := range lists {
			ctx, cancel := context.WithTimeout(t.Context(), allowed)
			threads, err := list(ctx)
			cancel()
			switch {
			case err == nil:
				same(t, len(threads), count)
			case !errors.Is(err, context.DeadlineExceeded) || threads != nil ||
				err.Error() != "chat."+name+": context deadline exceeded":
				t.Errorf("%d threads, %v", len(threads), err)
			default:
				cut++
			}
		}
		return cut
	}
	cut := 0
	for allowed := 50 * time.Microsecond; allowed < 100*time.Millisecond; allowed += allowed / 10 {
		cut += try(allowed)
	}
	t.Logf("%d lists were cut", cut)
	same(t, try(time.Minute), 0)
	server.Freeze(t)
	same(t, try(100*time.Millisecond), len(lists))
}
