package tests

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"libchat.example/chat"
)

// lines says each thread of a list in a line.
func lines(threads []chat.ThreadSummary) []string {
	out := []string{}
	for _, thread := range threads {
		out = append(out,
			fmt.Sprintln(thread.ThreadShort(), thread.MessageCount(), thread.LastBody()))
	}
	return out
}

func TestListsHaveTheMostRecentlyUsedFirst(t *testing.T) {
	ana, ben := open(t, "ana"), open(t, "ben")
	line := func(thread string, count int, body string) string {
		return fmt.Sprintln(short(t, ana, thread), count, body)
	}
	for _, s := range []struct {
		m            *chat.Manager
		thread, body string
	}{
		{ana, "plan", "1"}, {ana, "review", "2"}, {ben, "plan", "3"}, {ben, "ops", "4"},
		{ana, "test", "5"}, {ben, "review", "6"},
	} {
		check(t, s.m.Send(t.Context(), s.thread, s.body))
	}
	all := []string{
		line("review", 2, "6"), line("test", 1, "5"), line("ops", 1, "4"), line("plan", 2, "3"),
	}
	threads, err := ana.ListThreads(t.Context())
	check(t, err)
	same(t, lines(threads), all)
	for i, thread := range threads[1:] {
		if thread.LastActivity().After(threads[i].LastActivity()) {
			t.Errorf("%v is after %v", thread.LastActivity(), threads[i].LastActivity())
		}
	}
	for _, c := range []struct {
		agent string
		most  int
		want  []string
	}{
		{"ana", 10, []string{all[0], all[1], all[3]}},
		{"ben", 10, []string{all[0], all[2], all[3]}},
		{"ben", 3, []string{all[0], all[2], all[3]}},
		{"ben", 2, []string{all[0], all[2]}},
		{"ben", 1, []string{all[0]}},
		{"ben", 0, nil},
		// A difference from the original, which panics.
		{"ben", -1, nil},
		{"ben", -1 << 63, nil},
		{"ben", 1<<63 - 1, []string{all[0], all[2], all[3]}},
		{"cleo", 10, nil},
	} {
		threads, err := ana.ThreadsForAgent(t.Context(), c.agent, c.most)
		check(t, err)
		if got := lines(threads); strings.Join(got, "") != strings.Join(c.want, "") {
			t.Errorf("%s, %d: got %q, want %q", c.agent, c.most, got, c.want)
		}
	}
}

func TestAProjectWithoutMessagesHasEmptyLists(t *testing.T) {
	m := open(t, "ana")
	threads, err := m.ListThreads(t.Context())
	check(t, err)
	same(t, len(threads), 0)
	threads, err = m.ThreadsForAgent(t.Context(), "ana", -1)
	check(t, err)
	same(t, len(threads), 0)
}

// A difference from the original, which takes the latest timestamp, and of equal ones the first.
func TestTheLastMessageIsTheOneStoredLast(t *testing.T) {
	m, nc := open(t, "ana"), connect(t)
	for _, c := range []struct{ thread, time, body string }{
		{"plan", "2026-01-02T03:04:05Z", "1"},
		{"plan", "2026-01-02T03:04:05Z", "2"},
		{"review", "2026-01-02T03:04:06Z", "3"},
		{"review", "2026-01-02T03:04:04Z", "4"},
	} {
		name := short(t, m, c.thread)
		publish(t, nc, m.Project(), name, fmt.Sprintf(
			`{"id":"1","from":"ben","thread":%q,"body":%q,"timestamp":%q}`, name, c.body, c.time))
	}
	want := []string{
		fmt.Sprintln(short(t, m, "review"), 2, "4"), fmt.Sprintln(short(t, m, "plan"), 2, "2"),
	}
	threads, err := m.ListThreads(t.Context())
	check(t, err)
	same(t, lines(threads), want)
	threads, err = m.ThreadsForAgent(t.Context(), "ben", 9)
	check(t, err)
	same(t, lines(threads), want)
}

func TestAListThatFailsNamesItsCall(t *testing.T) {
	m := open(t, "ana")
	deleteStream(t, m.Project())
	for name, call := range callsOf(m) {
		if name != "ListThreads" && name != "ThreadsForAgent" {
			continue
		}
		err := call(t.Context())
		if !errors.Is(err, chat.ErrNotFound) || !strings.HasPrefix(err.Error(), "chat."+name+": ") {
			t.Errorf("%s: %v", name, err)
		}
		if !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Errorf("%s: %v is not %v", name, err, jetstream.ErrStreamNotFound)
		}
	}
}
