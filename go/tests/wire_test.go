package tests

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"libchat.example/chat"
)

// vectors reads those made with the original package.
func vectors[T any](t testing.TB, file string) []T {
	t.Helper()
	folder := os.Getenv("LIBCHAT_WIRE_VECTORS")
	if folder == "" {
		folder = filepath.Join("..", "..", "tests", "wire")
	}
	text, err := os.ReadFile(filepath.Join(folder, file))
	check(t, err)
	var content struct {
		Count   int
		Vectors []T
	}
	check(t, json.Unmarshal(text, &content))
	if len(content.Vectors) != content.Count || content.Count == 0 {
		t.Fatalf("%s: %d vectors of %d", file, len(content.Vectors), content.Count)
	}
	return content.Vectors
}

func TestThreadsHaveTheShortOfTheOriginal(t *testing.T) {
	type vector struct {
		N       int
		Name    []byte `json:"name_b64"`
		Project []byte `json:"project_b64"`
		Short   string
	}
	accepted, refused := 0, 0
	for _, v := range vectors[vector](t, "thread_hash.json") {
		project, name := string(v.Project), string(v.Name)
		short, err := chat.ThreadShort(project, name)
		if isProject(project) && isThread(name) {
			accepted++
			check(t, err)
			same(t, short, v.Short)
			continue
		}
		refused++
		if !errors.Is(err, chat.ErrInvalidArgument) || short != "" {
			t.Errorf("vector %d, %q, %q: %v", v.N, project, name, err)
		}
	}
	if accepted < 100 || refused == 0 {
		t.Errorf("%d accepted, %d refused", accepted, refused)
	}
}

// isProject has the rule of projects, as far as the vectors need it.
func isProject(name string) bool {
	return isThread(name) && len(name) <= 250 && name[0] != '$' &&
		!strings.ContainsAny(name, ".*>/\\ ")
}

func isThread(name string) bool {
	return name != "" && utf8.ValidString(name) && !strings.Contains(name, "\x00")
}

// fields is what the original reads of a payload.
type fields struct {
	ID, From, Thread, Body string
	ReplyTo                string `json:"reply_to"`
	Seconds                int64  `json:"time_unix_s"`
	Nanos                  int64  `json:"time_nanos"`
}

var isShort = regexp.MustCompile("^[0-9a-f]{8}$").MatchString

// envelope is what is to be told of them, when stored in thread.
func (f fields) envelope(thread string) chat.Envelope {
	return chat.Envelope{
		ID: f.ID, From: f.From, Thread: thread, Body: f.Body, ReplyTo: f.ReplyTo,
		Timestamp: time.Unix(f.Seconds, f.Nanos).UTC(),
	}
}

// payload is a vector of either file.
type payload struct {
	N          int
	Payload    []byte `json:"payload_b64"`
	JSON       []byte `json:"json_b64"`
	IsAccepted *bool  `json:"accept"`
	Fields     *fields
	Decoded    *fields
}

// verdict is what is to be told of a vector: its envelope, or nil where it is malformed.
type verdict struct {
	n        int
	envelope *chat.Envelope
}

func TestEveryPayloadGetsTheVerdictOfTheOriginal(t *testing.T) {
	for _, file := range []string{"payloads.json", "envelopes.json"} {
		t.Run(file, func(t *testing.T) {
			m, nc, ctx := open(t, "ana"), connect(t), within(t, 60*time.Second)
			channel, events := m.WatchAll(ctx), m.EventsAll(ctx, chat.StartAll())
			wanted := []verdict{}
			for _, v := range vectors[payload](t, file) {
				found, isAccepted := v.Decoded, true
				if v.Fields != nil {
					found, isAccepted = v.Fields, *v.IsAccepted
				}
				// A thread is where it is stored, whatever the payload says.
				thread := found.Thread
				if !isShort(thread) {
					thread = "0badcafe"
				}
				publish(t, nc, m.Project(), thread, string(v.Payload)+string(v.JSON))
				verdict := verdict{n: v.N}
				if envelope := found.envelope(thread); isAccepted {
					verdict.envelope = &envelope
				}
				wanted = append(wanted, verdict)
			}
			checkEvents(t, events, wanted)
			for _, want := range wanted {
				if want.envelope != nil && !t.Failed() {
					same(t, receive(t, ctx, channel), *want.envelope)
				}
			}
		})
	}
}

// checkEvents reads events until all that is wanted was told.
func checkEvents(
	t testing.TB, events func(func(chat.Event, error) bool), wanted []verdict,
) {
	t.Helper()
	for event, err := range events {
		check(t, err)
		if _, isPause := event.(chat.CaughtUp); isPause {
			continue
		}
		want := wanted[0]
		switch message, isMessage := event.(chat.Message); {
		case isMessage != (want.envelope != nil):
			t.Errorf("vector %d: told as a %T", want.n, event)
		case isMessage && chat.Envelope(letterOf(message)) != *want.envelope:
			t.Errorf("vector %d: told %.200v, not %.200v", want.n, message, *want.envelope)
		}
		if wanted = wanted[1:]; len(wanted) == 0 {
			return
		}
	}
	t.Errorf("%d vectors were not told", len(wanted))
}
