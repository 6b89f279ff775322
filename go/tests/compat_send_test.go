package tests

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"libchat.example/chat"
)

func deleteStream(t testing.TB, project string) {
	t.Helper()
	js, err := jetstream.New(connect(t))
	check(t, err)
	check(t, js.DeleteStream(t.Context(), "chat-"+project))
}

func TestAFailedSendHasTheTextOfTheOriginalAndMatchesItsErrors(t *testing.T) {
	m, orphan := open(t, "ana"), openWith(t, chat.Config{
		AgentID: "ana", ProjectPrefix: project(t) + "-deleted", URL: serverURL, MaxSubscribers: 1,
	})
	deleteStream(t, orphan.Project())
	for _, c := range []struct {
		m    *chat.Manager
		body string
		text string
		are  []error
	}{
		{m, strings.Repeat("x", 1<<20), "chat.Send: nats: maximum payload exceeded",
			[]error{nats.ErrMaxPayload, chat.ErrTooLarge}},
		{orphan, "x", "chat.Send: nats: no response from stream",
			[]error{nats.ErrNoStreamResponse, jetstream.ErrNoStreamResponse, chat.ErrNotFound}},
	} {
		err := c.m.Send(t.Context(), "plan", c.body)
		if err == nil || err.Error() != c.text {
			t.Errorf("got %v, want %s", err, c.text)
		}
		for _, is := range c.are {
			if !errors.Is(err, is) {
				t.Errorf("%v is not %v", err, is)
			}
		}
	}
}

func TestASendWithoutADeadlineTakes5SecondsAtMost(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	m := server.open(t, "ana")
	server.Freeze(t)
	begin := time.Now()
	err := m.Send(context.Background(), "plan", "x")
	if took := time.Since(begin); took < 4*time.Second || took > 100*time.Second {
		t.Errorf("took %v", took)
	}
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, nats.ErrTimeout) ||
		!strings.HasPrefix(err.Error(), "chat.Send: context deadline exceeded") {
		t.Error(err)
	}
}

func TestAnEmptyBodyIsAMessageAndEveryMessageHasAnIDOfItsOwn(t *testing.T) {
	m, ctx := open(t, "ana"), within(t, 20*time.Second)
	channel := m.Watch(ctx, "plan")
	ids := map[string]bool{}
	for range 20 {
		check(t, m.Send(ctx, "plan", ""))
		message := <-channel
		same(t, message.Body, "")
		if !regexp.MustCompile("^[0-9a-f]{32}$").MatchString(message.ID) {
			t.Error(message.ID)
		}
		ids[message.ID] = true
	}
	same(t, len(ids), 20)
}

// A difference from the original, which replaces such bytes.
func TestABodyOrNameThatIsNoTextIsRefused(t *testing.T) {
	m := open(t, "ana")
	for _, c := range []struct{ thread, body string }{
		{"plan", "x\xff"}, {"pl\xffan", "x"}, {"pl\x00an", "x"},
	} {
		if err := m.Send(t.Context(), c.thread, c.body); !errors.Is(err, chat.ErrInvalidArgument) {
			t.Errorf("%q %q: %v", c.thread, c.body, err)
		}
	}
	threads, err := m.ListThreads(t.Context())
	check(t, err)
	same(t, len(threads), 0)
}
