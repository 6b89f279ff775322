package tests

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"libchat.example/chat"
)

// The original's surface: this file does not compile once a signature differs.
var (
	_ func(context.Context, chat.Config) (*chat.Manager, error) = chat.Open

	_ interface {
		Close() error
		Send(ctx context.Context, thread, body string) error
		Watch(ctx context.Context, thread string) <-chan chat.Envelope
		WatchAll(ctx context.Context) <-chan chat.Envelope
		WatchPattern(ctx context.Context, pattern string) <-chan chat.Envelope
		Request(ctx context.Context, subject string, payload []byte) ([]byte, error)
		Respond(subject string, handler func([]byte) ([]byte, error)) (func() error, error)
		ListThreads(ctx context.Context) ([]chat.ThreadSummary, error)
		ThreadsForAgent(ctx context.Context, agentID string, maxThreads int) (
			[]chat.ThreadSummary, error)
	} = (*chat.Manager)(nil)

	_ interface {
		ThreadShort() string
		LastActivity() time.Time
		MessageCount() int
		LastBody() string
	} = chat.ThreadSummary{}

	_ interface{ Validate() error } = chat.Config{
		AgentID:         string(""),
		ProjectPrefix:   string(""),
		Nats:            (*nats.Conn)(nil),
		MaxRetentionAge: time.Duration(0),
		MaxSubscribers:  int(0),
	}

	_ = chat.Envelope{
		ID: string(""), From: string(""), Thread: string(""), Body: string(""),
		Timestamp: time.Time{}, ReplyTo: string(""),
	}

	_ error = chat.ErrClosed
)

func TestAnEnvelopeHasTheFieldsAndTheJSONOfTheOriginal(t *testing.T) {
	envelope := reflect.TypeFor[chat.Envelope]()
	want := []struct{ name, tag string }{
		{"ID", "id"}, {"From", "from"}, {"Thread", "thread"}, {"Body", "body"},
		{"Timestamp", "timestamp"}, {"ReplyTo", "reply_to,omitempty"},
	}
	same(t, envelope.NumField(), len(want))
	for i, w := range want {
		field := envelope.Field(i)
		same(t, []string{field.Name, field.Tag.Get("json")}, []string{w.name, w.tag})
	}
	text, err := json.Marshal(chat.Envelope{
		ID: "1", From: "ana", Thread: "d0825bc5", Body: "<hi>",
		Timestamp: time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC),
	})
	check(t, err)
	same(t, string(text), `{"id":"1","from":"ana","thread":"d0825bc5","body":"\u003chi\u003e",`+
		`"timestamp":"2026-01-02T03:04:05.006Z"}`)
}
