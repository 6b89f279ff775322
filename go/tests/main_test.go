// Package tests tries the package as a program beside nats.go does: that it is a drop-in for the
// original, that both read each other, and that a crowd costs little.
package tests

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"libchat.example/chat"
	"libchat.example/chat/internal/chattest"
)

// The server of most tests; each opens a project of its own.
var serverURL string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	// What Watch cannot answer goes to the log: the tests that fail on purpose would fill the screen.
	if err := chat.SetLogger(slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if serverURL = os.Getenv(panicServer); serverURL != "" {
		return m.Run() // a panic would leave a server of its own behind
	}
	folder, err := os.MkdirTemp("", "libchat-go-tests-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	serverURL, err = chat.StartLocalServer(folder)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer chat.StopLocalServer(folder)
	return m.Run()
}

// config is that of a test's own project on the common server.
func config(t testing.TB, agent string) chat.Config {
	return chat.Config{
		AgentID:        agent,
		ProjectPrefix:  project(t),
		URL:            serverURL,
		MaxSubscribers: 4096,
	}
}

func open(t testing.TB, agent string) *chat.Manager {
	t.Helper()
	return openWith(t, config(t, agent))
}

func openWith(t testing.TB, cfg chat.Config) *chat.Manager {
	t.Helper()
	m, err := chat.Open(t.Context(), cfg)
	check(t, err)
	t.Cleanup(func() { m.Close() })
	return m
}

// connect is a connection of nats.go to the common server.
func connect(t testing.TB, options ...nats.Option) *nats.Conn {
	t.Helper()
	return connectTo(t, serverURL, options...)
}

func connectTo(t testing.TB, url string, options ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, options...)
	check(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func stream(t testing.TB, nc *nats.Conn, project string) *jetstream.StreamInfo {
	t.Helper()
	js, err := jetstream.New(nc)
	check(t, err)
	found, err := js.Stream(t.Context(), "chat-"+project)
	check(t, err)
	return found.CachedInfo()
}

// server is one of a test's own, which can be frozen.
type server struct{ *chattest.Server }

func startServer(t testing.TB) server {
	t.Helper()
	return server{chattest.Start(t)}
}

func (s server) open(t testing.TB, agent string) *chat.Manager {
	t.Helper()
	cfg := config(t, agent)
	cfg.URL = s.URL
	return openWith(t, cfg)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same[T any](t testing.TB, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// projects has the name of each test's project.
var projects sync.Map

// project is a name that no other test has, nor the same test run again.
func project(t testing.TB) string {
	name, isKnown := projects.Load(t)
	if !isKnown {
		word := strings.NewReplacer("/", "-", " ", "-", ".", "-").Replace(t.Name())
		name = fmt.Sprintf("%s-%d", word, time.Now().UnixNano())
		projects.Store(t, name)
		t.Cleanup(func() { projects.Delete(t) })
	}
	return name.(string)
}

// within is a context that ends a test that hangs.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// ended is a context that has ended with cause.
func ended(t testing.TB, cause error) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	if cause == context.DeadlineExceeded {
		ctx, cancel = context.WithTimeout(t.Context(), 0)
	}
	cancel()
	<-ctx.Done()
	same(t, ctx.Err(), cause)
	return ctx
}

// isLong says whether full rounds are asked for.
func isLong() bool { return os.Getenv("LIBCHAT_TEST_LONG") == "1" }
