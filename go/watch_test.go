package chat_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"libchat.example/chat"
)

func send(t testing.TB, m *chat.Manager, thread string, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		check(t, m.Send(t.Context(), thread, body))
	}
}

// bodies reads as many messages as it is to, and leaves the loop.
func bodies(t testing.TB, messages func(func(chat.Message, error) bool), count int) []string {
	t.Helper()
	var got []string
	for message, err := range messages {
		check(t, err)
		if got = append(got, message.Body); len(got) == count {
			break
		}
	}
	return got
}

func TestEveryStartBeginsWhereItSays(t *testing.T) {
	for name, c := range map[string]struct {
		start func(second chat.Message) chat.Start
		want  []string
	}{
		"new": {func(chat.Message) chat.Start { return chat.StartNew() }, []string{"5"}},
		"all": {
			func(chat.Message) chat.Start { return chat.StartAll() },
			[]string{"1", "2", "3", "4", "5"},
		},
		"after": {
			func(second chat.Message) chat.Start { return chat.StartAfter(second.Cursor) },
			[]string{"3", "4", "5"},
		},
		"time": {
			func(second chat.Message) chat.Start { return chat.StartTime(second.Time) },
			[]string{"2", "3", "4", "5"},
		},
		"last": {func(chat.Message) chat.Start { return chat.StartLast(1) }, []string{"4", "5"}},
	} {
		t.Run(name, func(t *testing.T) {
			ana, ctx := open(t, "ana"), within(t, 20*time.Second)
			send(t, ana, "plan", "1", "2", "3", "4")
			page, err := ana.History(ctx, "plan")
			check(t, err)
			start := c.start(page.Messages[1])
			messages := ana.Messages(ctx, "plan", start)
			short, err := chat.ThreadShort(ana.Project(), "plan")
			check(t, err)
			byShort := ana.Messages(ctx, short, start, chat.ByShort())
			send(t, ana, "plan", "5")
			same(t, bodies(t, messages, len(c.want)), c.want)
			same(t, bodies(t, byShort, len(c.want)), c.want)
		})
	}
}

func TestEventsTellWhatMessagesPassOver(t *testing.T) {
	ana, ctx := open(t, "ana"), within(t, 20*time.Second)
	send(t, ana, "plan", "1")
	var got []string
	for event, err := range ana.Events(ctx, "plan", chat.StartAll()) {
		check(t, err)
		got = append(got, fmt.Sprintf("%T", event))
		if len(got) == 2 {
			break
		}
	}
	same(t, got, []string{"chat.Message", "chat.CaughtUp"})
	foreign := chat.Cursor{}
	check(t, foreign.UnmarshalText([]byte("c1.18a3f.9.0")))
	for event, err := range ana.EventsAll(ctx, chat.StartAfter(foreign)) {
		check(t, err)
		if _, ok := event.(chat.Reset); !ok {
			t.Errorf("%T", event)
		}
		break
	}
}

func TestOwnMessagesAreLeftOutOnRequest(t *testing.T) {
	ana, ben, ctx := open(t, "ana"), open(t, "ben"), within(t, 20*time.Second)
	messages := ana.MessagesAll(ctx, chat.SkipOwn())
	send(t, ana, "plan", "mine")
	send(t, ben, "plan", "yours")
	same(t, bodies(t, messages, 1), []string{"yours"})
}

func TestASlowReaderLosesNothing(t *testing.T) {
	ana, ctx := open(t, "ana"), within(t, time.Minute)
	messages := ana.Messages(ctx, "plan", chat.Queue(4, 0))
	channel := ana.Watch(ctx, "plan")
	var under []*chat.Sending
	for i := range 2000 {
		s, err := ana.SendAsync(ctx, chat.Outgoing{Thread: "plan", Body: fmt.Sprint(i)})
		check(t, err)
		under = append(under, s)
	}
	for _, s := range under {
		_, err := s.Wait(ctx)
		check(t, err)
	}
	for i, body := range bodies(t, messages, 2000) {
		same(t, body, fmt.Sprint(i))
		same(t, (<-channel).Body, body)
	}
	stats, err := ana.Stats()
	check(t, err)
	if stats.Detaches == 0 {
		t.Error("nobody was slow")
	}
}

func TestALoopEndsWithItsContextAndWithItsManager(t *testing.T) {
	ana := open(t, "ana")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	loop := func(messages func(func(chat.Message, error) bool)) {
		var last error
		for _, err := range messages {
			last = err
		}
		ended <- last
	}
	go loop(ana.Messages(ctx, "plan"))
	go loop(ana.Messages(context.Background(), "plan"))
	cancel()
	same(t, <-ended, nil)
	check(t, ana.Close())
	same(t, <-ended, chat.ErrClosed)
	for _, err := range ana.Messages(t.Context(), "plan") {
		same(t, err, chat.ErrClosed)
	}
}

func TestAWatchIsForOneLoop(t *testing.T) {
	ana, ctx := open(t, "ana"), within(t, 20*time.Second)
	messages := ana.Messages(ctx, "plan")
	send(t, ana, "plan", "1")
	same(t, bodies(t, messages, 1), []string{"1"})
	for _, err := range messages {
		if !errors.Is(err, chat.ErrInvalidState) {
			t.Error(err)
		}
	}
	watches(t, ana, 0)
}

func TestAWatchWithoutALoopEndsWithItsContext(t *testing.T) {
	ana := open(t, "ana")
	ctx, cancel := context.WithCancel(t.Context())
	messages := ana.Messages(ctx, "plan")
	watches(t, ana, 1)
	cancel()
	watches(t, ana, 0)
	for range messages {
		t.Error("a loop after the end")
	}
}

// watches waits until the manager has as many live watches as it is to.
func watches(t testing.TB, m *chat.Manager, want uint64) {
	t.Helper()
	ctx := within(t, 20*time.Second)
	for ctx.Err() == nil {
		stats, err := m.Stats()
		check(t, err)
		if stats.Watches == want {
			return
		}
	}
	t.Errorf("never %d watches", want)
}

func TestAWatchThatCannotBeSetUpSaysWhy(t *testing.T) {
	server := startServer(t)
	conn, err := chat.Connect(t.Context(), chat.ConnectOptions{Servers: []string{server.URL}})
	check(t, err)
	defer conn.Close()
	ana, err := conn.Open(t.Context(), project(t), "ana", chat.OpenOptions{MaxSubscribers: 1})
	check(t, err)
	first := ana.Watch(t.Context(), "plan")
	for _, err := range ana.Messages(t.Context(), "plan") {
		if !errors.Is(err, chat.ErrTooManySubscribers) {
			t.Error(err)
		}
	}
	if _, open := <-ana.Watch(t.Context(), "plan"); open {
		t.Error("a channel that is open")
	}
	send(t, ana, "plan", "1")
	same(t, (<-first).Body, "1")
}

func TestHistoryIsReadInPages(t *testing.T) {
	ana, ctx := open(t, "ana"), within(t, 20*time.Second)
	send(t, ana, "plan", "1", "2", "3", "4", "5")
	var got []string
	start := chat.StartAll()
	for pages := 1; ; pages++ {
		page, err := ana.History(ctx, "plan", start, chat.Limit(2))
		check(t, err)
		for _, message := range page.Messages {
			got = append(got, message.Body)
		}
		if !page.Truncated {
			same(t, pages, 3)
			break
		}
		start = chat.StartAfter(page.Next)
	}
	same(t, got, []string{"1", "2", "3", "4", "5"})
	page, err := ana.History(ctx, "plan", chat.MaxBytes(1))
	check(t, err)
	same(t, len(page.Messages), 1)
	_, err = ana.History(ctx, "plan", chat.StartAfter(chat.Cursor{}))
	if !errors.Is(err, chat.ErrInvalidArgument) {
		t.Error(err)
	}
}

func TestACursorGoesThroughText(t *testing.T) {
	ana, ctx := open(t, "ana"), within(t, 20*time.Second)
	receipt, err := ana.SendMessage(ctx, chat.Outgoing{Thread: "plan", Body: "1"})
	check(t, err)
	again, err := chat.ParseCursor(receipt.Cursor.String())
	check(t, err)
	same(t, again, receipt.Cursor)
	var none chat.Cursor
	text, err := none.MarshalText()
	check(t, err)
	same(t, string(text), "")
	check(t, again.UnmarshalText(nil))
	same(t, again.IsZero(), true)
	for _, wrong := range []string{"", "c1", "c2.0.0.0", "c1.zz.1.0", "c1.1.1.0\x00"} {
		if _, err := chat.ParseCursor(wrong); !errors.Is(err, chat.ErrInvalidArgument) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
