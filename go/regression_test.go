package chat_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"libchat.example/chat"
)

// A request that could not be failed stayed open, and no other was handled any more.
func TestAFailureWithoutAUsableCodeIsToldAsAPlainOne(t *testing.T) {
	ana, ctx := open(t, "ana"), within(t, 20*time.Second)
	failures := []*chat.Error{
		{RemoteCode: "bad code!", Message: "x"},
		{RemoteCode: "code", Message: "a\x00b"},
		{RemoteCode: "co\x00de", Message: "x"},
		{RemoteCode: "fine", Message: "x"},
	}
	calls := 0
	subject := project(t) + ".x"
	_, err := ana.Respond(subject, func([]byte) ([]byte, error) {
		calls++
		return nil, failures[calls-1]
	})
	check(t, err)
	for _, want := range []string{"handler_failed", "handler_failed", "handler_failed", "fine"} {
		_, err := ana.Request(ctx, subject, nil)
		var failure *chat.Error
		if !errors.As(err, &failure) || failure.RemoteCode != want {
			t.Fatal(err)
		}
	}
}

// The end of the context and the write were a race: of 300 such sends 49 were stored.
func TestASendWhoseContextHasEndedIsNotSent(t *testing.T) {
	ana := open(t, "ana")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 300 {
		_, err := ana.SendMessage(ended, chat.Outgoing{Thread: "plan", Body: "x"})
		if !errors.Is(err, chat.ErrCancelled) || !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if _, err := ana.SendAsync(ended, chat.Outgoing{Thread: "plan"}); err == nil {
			t.Fatal("it was taken")
		}
	}
	threads, err := ana.ListThreads(t.Context())
	check(t, err)
	same(t, len(threads), 0)
}

// Of two channels that were ready one was taken at random.
func TestASendThatHasEndedSaysSoWhateverTheContext(t *testing.T) {
	ana := open(t, "ana")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s, err := ana.SendAsync(t.Context(), chat.Outgoing{Thread: "plan", Body: "x"})
	check(t, err)
	<-s.Done()
	for range 100 {
		_, err := s.Wait(ended)
		check(t, err)
	}
}

type nobody struct{}

func (nobody) ConnectedUrl() string { return "" }

// Without an address libchat looked for a server, and opened the project on another.
func TestAConnectionThatIsDownIsNoReasonToGoElsewhere(t *testing.T) {
	t.Setenv("LIBCHAT_URL", serverURL)
	config := chat.Config{
		AgentID: "ana", ProjectPrefix: project(t), Nats: nobody{}, MaxSubscribers: 1,
	}
	if _, err := chat.Open(t.Context(), config); !errors.Is(err, chat.ErrDisconnected) {
		t.Error(err)
	}
	_, err := chat.Connect(t.Context(), chat.ConnectOptions{Servers: []string{""}})
	if !errors.Is(err, chat.ErrInvalidArgument) {
		t.Error(err)
	}
}

// Before took the place of StartAfter's cursor, or was taken by it.
func TestBeforeGoesWithStartLastOnlyInWhateverOrder(t *testing.T) {
	ana, ctx := open(t, "ana"), within(t, 20*time.Second)
	send(t, ana, "plan", "0", "1", "2", "3", "4", "5")
	page, err := ana.History(ctx, "plan")
	check(t, err)
	before := chat.Before(page.Messages[4].Cursor)
	for _, options := range [][]chat.HistoryOption{
		{before, chat.StartLast(2)}, {chat.StartLast(2), before},
	} {
		page, err := ana.History(ctx, "plan", options...)
		check(t, err)
		same(t, fmt.Sprint(page.Messages[0].Body, page.Messages[1].Body), "23")
	}
	for _, options := range [][]chat.HistoryOption{
		{before}, {before, chat.StartAll()}, {chat.StartAfter(page.Next), before},
		{chat.StartLast(0)},
	} {
		if _, err := ana.History(ctx, "plan", options...); !errors.Is(err, chat.ErrInvalidArgument) {
			t.Error(err)
		}
	}
}

// Years that nanoseconds in 64 bits do not hold gave everything.
func TestAStartInAFarYearIsThatYears(t *testing.T) {
	ana, ctx := open(t, "ana"), within(t, 20*time.Second)
	send(t, ana, "plan", "1")
	for year, want := range map[int]int{1: 1, 1600: 1, 2200: 0, 2600: 0, 3000: 0} {
		start := chat.StartTime(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC))
		page, err := ana.History(ctx, "plan", start)
		check(t, err)
		if len(page.Messages) != want {
			t.Errorf("%d: %d messages", year, len(page.Messages))
		}
	}
}

// What had been taken already was told all the same.
func TestALoopTellsNothingAfterTheEndOfItsContext(t *testing.T) {
	ana := open(t, "ana")
	send(t, ana, "plan", "1", "2", "3", "4", "5", "6")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := 0
	for _, err := range ana.Messages(ctx, "plan", chat.StartAll()) {
		check(t, err)
		told++
		cancel()
	}
	same(t, told, 1)
}

// The text of an error of another kind matched where it was empty.
func TestAnErrorMatchesNoEmptyText(t *testing.T) {
	_, err := open(t, "ana").Ask(t.Context(), "nobody", nil)
	if errors.Is(err, errors.New("")) || !errors.Is(err, chat.ErrNoResponders) {
		t.Error(err)
	}
}

// It read "cancelled by its caller".
func TestADeadlineIsToldAsOne(t *testing.T) {
	server := startServer(t)
	ana := server.open(t, "ana")
	server.Freeze(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := ana.Ask(ctx, "ben", nil)
	if !errors.Is(err, chat.ErrTimeout) || !strings.Contains(err.Error(), "deadline") {
		t.Error(err)
	}
}
