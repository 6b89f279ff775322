package chat_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"libchat.example/chat"
)

// text is what a logger has written.
type text struct {
	mu    sync.Mutex
	bytes bytes.Buffer
}

func (t *text) Write(line []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bytes.Write(line)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bytes.String()
}

func TestTheLogGoesToTheLoggerUpToItsLevel(t *testing.T) {
	var warnings, failures text
	logger := func(to *text, level slog.Level) *slog.Logger {
		return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: level}))
	}
	ana := open(t, "ana")
	check(t, ana.Send(t.Context(), "plan", "a body that nobody logs"))
	work := func() {
		foreign, err := chat.ParseCursor("c1.18a3f.9.0")
		check(t, err)
		for _, err := range ana.Messages(t.Context(), "plan", chat.StartAfter(foreign)) {
			check(t, err)
			break
		}
	}
	check(t, chat.SetLogger(logger(&warnings, slog.LevelWarn)))
	work()
	check(t, chat.SetLogger(logger(&failures, slog.LevelError)))
	work()
	check(t, chat.SetLogger(nil)) // when it returns, all is written
	before := warnings.String()
	work()
	same(t, warnings.String(), before)
	for _, want := range []string{"level=WARN", "made anew", "cursor=c1"} {
		if !strings.Contains(before, want) {
			t.Errorf("no %s in %s", want, before)
		}
	}
	if failures.String() != "" || strings.Contains(before, "nobody logs") {
		t.Error(failures.String(), before)
	}
}

func TestLibchatsOwnLinesNameWhoSpeaks(t *testing.T) {
	server := startServer(t)
	plan := server.open(t, "ana").Watch(t.Context(), "plan")
	var log text
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	check(t, chat.SetLogger(logger))
	defer chat.SetLogger(nil)
	server.Restart(t)
	for ctx := within(t, 20*time.Second); !strings.Contains(log.String(), "target=libchat"); {
		check(t, ctx.Err())
	}
	send(t, server.open(t, "ben"), "plan", "1")
	same(t, (<-plan).Body, "1")
}

func TestAWatchThatCannotBeSetUpIsLogged(t *testing.T) {
	ana := open(t, "ana")
	var log text
	check(t, chat.SetLogger(slog.New(slog.NewTextHandler(&log, nil))))
	defer chat.SetLogger(nil)
	if _, open := <-ana.WatchPattern(within(t, 20*time.Second), "no pattern"); open {
		t.Error("a channel that is open")
	}
	if !strings.Contains(log.String(), "no pattern") {
		t.Error(log.String())
	}
}
