package tests

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// original is an agent that speaks the wire by nats.go alone, as the original package does.
type original struct {
	nc             *nats.Conn
	js             jetstream.JetStream
	stream         jetstream.Stream
	project, agent string
}

// letter is what is stored.
type letter struct {
	ID        string    `json:"id"`
	From      string    `json:"from"`
	Thread    string    `json:"thread"`
	Body      string    `json:"body"`
	Timestamp time.Time `json:"timestamp"`
	ReplyTo   string    `json:"reply_to,omitempty"`
}

func openOriginal(t testing.TB, project, agent string, retention time.Duration) *original {
	t.Helper()
	o, err := newOriginal(t.Context(), connect(t), project, agent, retention)
	check(t, err)
	return o
}

func newOriginal(
	ctx context.Context, nc *nats.Conn, project, agent string, retention time.Duration,
) (*original, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	stream, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:      "chat-" + project,
		Subjects:  []string{"chat." + project + ".>"},
		Retention: jetstream.LimitsPolicy,
		MaxAge:    retention,
		Storage:   jetstream.FileStorage,
	})
	return &original{nc, js, stream, project, agent}, err
}

// short is the thread's 8 hex digits.
func (o *original) short(thread string) string {
	hash := sha256.Sum256([]byte(o.project + ":" + thread))
	return hex.EncodeToString(hash[:4])
}

// letter writes one without sending it.
func (o *original) letter(thread, body string) letter {
	id := make([]byte, 16)
	rand.Read(id) // it never fails
	return letter{
		ID:        hex.EncodeToString(id),
		From:      o.agent,
		Thread:    o.short(thread),
		Body:      body,
		Timestamp: time.Now().UTC(),
	}
}

func (o *original) send(t testing.TB, l letter) letter {
	t.Helper()
	payload, err := json.Marshal(l)
	check(t, err)
	_, err = o.js.Publish(t.Context(), "chat."+o.project+"."+l.Thread, payload)
	check(t, err)
	return l
}

// watch tells what is stored from now on, until the test's end.
func (o *original) watch(t testing.TB, pattern string) <-chan letter {
	t.Helper()
	consumer, err := o.stream.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{"chat." + o.project + "." + pattern},
		DeliverPolicy:  jetstream.DeliverNewPolicy,
	})
	check(t, err)
	out := make(chan letter, 1024)
	consuming, err := consumer.Consume(func(message jetstream.Msg) {
		var l letter
		if json.Unmarshal(message.Data(), &l) == nil {
			out <- l
		}
	})
	check(t, err)
	t.Cleanup(consuming.Stop)
	return out
}

// tally is one thread of a list.
type tally struct {
	short, body string
	count       int
	last        time.Time
	agents      map[string]bool
}

// list reads every message, and has the threads of the latest messages first.
func (o *original) list(t testing.TB) []*tally {
	t.Helper()
	consumer, err := o.stream.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	check(t, err)
	info, err := o.stream.Info(t.Context())
	check(t, err)
	threads := map[string]*tally{}
	for seen := uint64(0); seen < info.State.LastSeq; {
		message, err := consumer.Next()
		check(t, err)
		place, err := message.Metadata()
		check(t, err)
		seen = place.Sequence.Stream
		var l letter
		check(t, json.Unmarshal(message.Data(), &l))
		thread := threads[l.Thread]
		if thread == nil {
			thread = &tally{short: l.Thread, agents: map[string]bool{}}
			threads[l.Thread] = thread
		}
		thread.count++
		thread.agents[l.From] = true
		if l.Timestamp.After(thread.last) {
			thread.last, thread.body = l.Timestamp, l.Body
		}
	}
	out := []*tally{}
	for _, thread := range threads {
		out = append(out, thread)
	}
	slices.SortFunc(out, func(a, b *tally) int {
		return cmp.Compare(b.last.UnixNano(), a.last.UnixNano())
	})
	return out
}

func (o *original) listForAgent(t testing.TB, agent string, most int) []*tally {
	t.Helper()
	threads := slices.DeleteFunc(o.list(t), func(thread *tally) bool { return !thread.agents[agent] })
	return threads[:min(most, len(threads))]
}
