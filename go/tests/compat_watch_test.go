package tests

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"libchat.example/chat"
)

// publish stores payload on what follows chat.<project>. as another program does.
func publish(t testing.TB, nc *nats.Conn, project, rest, payload string) {
	t.Helper()
	js, err := nc.JetStream()
	check(t, err)
	_, err = js.Publish("chat."+project+"."+rest, []byte(payload))
	check(t, err)
}

func short(t testing.TB, m *chat.Manager, thread string) string {
	t.Helper()
	short, err := chat.ThreadShort(m.Project(), thread)
	check(t, err)
	return short
}

// receive takes the next message of a channel.
func receive(t testing.TB, ctx context.Context, channel <-chan chat.Envelope) chat.Envelope {
	t.Helper()
	select {
	case message, isOpen := <-channel:
		if !isOpen {
			t.Fatal("the channel is closed")
		}
		return message
	case <-ctx.Done():
		t.Fatal("no message")
	}
	return chat.Envelope{}
}

// untilClosed waits for the end of a channel that is to have no message any more.
func untilClosed(t testing.TB, name string, channel <-chan chat.Envelope) {
	t.Helper()
	select {
	case message, isOpen := <-channel:
		if isOpen {
			t.Errorf("%s: told %v", name, message)
		}
	case <-within(t, 20*time.Second).Done():
		t.Fatalf("%s: still open", name)
	}
}

func TestAPatternIsTakenAsItIsAndWatchAllIsOfOneLevel(t *testing.T) {
	m, nc, ctx := open(t, "ana"), connect(t), within(t, 20*time.Second)
	plan, ops := short(t, m, "plan"), short(t, m, "ops")
	want := map[string][]string{
		"*":            {plan, ops},
		">":            {plan, ops},
		plan:           {plan},
		ops:            {ops},
		"*.b":          nil,
		plan + ".*":    nil,
		plan[:7]:       nil,
		plan[:7] + "*": nil,
	}
	channels := map[string]<-chan chat.Envelope{}
	for pattern := range want {
		channels[pattern] = m.WatchPattern(ctx, pattern)
	}
	want["all"], channels["all"] = want["*"], m.WatchAll(ctx)
	for _, rest := range []string{"a.b", plan, plan + ".b", ops} {
		publish(t, nc, m.Project(), rest, `{"id":"1","from":"ben","body":"`+rest+`"}`)
	}
	for pattern, channel := range channels {
		for _, body := range want[pattern] {
			same(t, receive(t, ctx, channel).Body, body)
		}
	}
	check(t, m.Close())
	for pattern, channel := range channels {
		for message := range channel {
			t.Errorf("%s: told %s too", pattern, message.Body)
		}
	}
}

// A difference from the original, which tells what is stored on any subject of the project: here
// only a thread's 8 hex digits are one, and the rest is malformed.
func TestWhatIsStoredOnASubjectThatIsNoThreadsIsMalformed(t *testing.T) {
	m, nc, ctx := open(t, "ana"), connect(t), within(t, 20*time.Second)
	channel, events := m.WatchPattern(ctx, ">"), m.EventsAll(ctx)
	publish(t, nc, m.Project(), "other", `{"id":"1","from":"ben","body":"astray"}`)
	check(t, m.Send(ctx, "plan", "x"))
	same(t, receive(t, ctx, channel).Body, "x")
	kinds := []string{}
	for event, err := range events {
		check(t, err)
		kinds = append(kinds, fmt.Sprintf("%T", event))
		if _, ok := event.(chat.Message); ok {
			break
		}
	}
	same(t, kinds, []string{"chat.CaughtUp", "chat.Malformed", "chat.Message"})
}

func TestAWatchThatCannotBeSetUpIsAClosedChannel(t *testing.T) {
	m := open(t, "ana")
	for _, pattern := range []string{"a b", ".", "a..b", "a.", ">.a", "a\x00b"} {
		if !isClosed(m.WatchPattern(t.Context(), pattern)) {
			t.Errorf("%q: not closed", pattern)
		}
	}
	deleteStream(t, m.Project())
	for name, channel := range watchesOf(m, t.Context()) {
		if !isClosed(channel) {
			t.Errorf("%s: not closed", name)
		}
	}
}

func TestAWatchThatTheServerDoesNotAnswerIsAClosedChannelAfter5Seconds(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	m := server.open(t, "ana")
	server.Freeze(t)
	begin := time.Now()
	for _, channel := range watchMany(t, m, context.Background(), 200) {
		same(t, isClosed(channel), true)
	}
	if took := time.Since(begin); took < 4*time.Second || took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestAChannelThatNobodyReadsForAWhileLosesNothing(t *testing.T) {
	m, ctx := open(t, "ana"), within(t, time.Minute)
	channel := m.Watch(ctx, "plan")
	const count = 3000
	var under []*chat.Sending
	for i := range count {
		sending, err := m.SendAsync(ctx, chat.Outgoing{Thread: "plan", Body: fmt.Sprint(i)})
		check(t, err)
		under = append(under, sending)
	}
	for _, sending := range under {
		_, err := sending.Wait(ctx)
		check(t, err)
	}
	for i := range count {
		same(t, receive(t, ctx, channel).Body, fmt.Sprint(i))
	}
}

func TestAChannelTellsWhatIsNewSkipsWhatIsNoMessageAndEndsWithItsContext(t *testing.T) {
	m, nc := open(t, "ana"), connect(t)
	check(t, m.Send(t.Context(), "plan", "old"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	channels := watchesOf(m, ctx)
	publish(t, nc, m.Project(), short(t, m, "plan"), "no message")
	check(t, m.Send(t.Context(), "plan", "new"))
	for _, channel := range channels {
		same(t, cap(channel), 16)
		same(t, receive(t, within(t, 20*time.Second), channel).Body, "new")
	}
	cancel()
	for name, channel := range channels {
		untilClosed(t, name, channel)
	}
}

// A difference from the original, which checks the number and then forgets it.
func TestAsManyWatchesAreLiveAsMaxSubscribersSays(t *testing.T) {
	cfg := config(t, "ana")
	cfg.MaxSubscribers = 2
	m := openWith(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first, second := m.WatchAll(ctx), m.Watch(t.Context(), "plan")
	for name, channel := range watchesOf(m, t.Context()) {
		if !isClosed(channel) {
			t.Errorf("%s: not closed", name)
		}
	}
	cancel()
	for range first {
		t.Error("a message")
	}
	third := m.WatchAll(t.Context())
	check(t, m.Send(t.Context(), "plan", "x"))
	for _, channel := range []<-chan chat.Envelope{second, third} {
		same(t, (<-channel).Body, "x")
	}
}
