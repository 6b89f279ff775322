package chat_test

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"libchat.example/chat"
	"libchat.example/chat/internal/capi"
	"libchat.example/chat/internal/chattest"
)

// The server of all tests; each opens a project of its own.
var serverURL string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "libchat-go-")
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
	code := m.Run()
	if notes := capi.Notes(); notes != 0 && code == 0 {
		fmt.Fprintf(os.Stderr, "%d notes of libchat were never freed\n", notes)
		return 1
	}
	return code
}

// open opens the test's project as an agent.
func open(t testing.TB, agent string) *chat.Manager {
	t.Helper()
	return openAt(t, serverURL, agent)
}

func openAt(t testing.TB, url, agent string) *chat.Manager {
	t.Helper()
	m, err := chat.Open(t.Context(), chat.Config{
		AgentID:        agent,
		ProjectPrefix:  project(t),
		URL:            url,
		MaxSubscribers: 4096,
	})
	check(t, err)
	t.Cleanup(func() { m.Close() })
	return m
}

// server is one of a test's own, which can be frozen.
type server struct{ *chattest.Server }

func startServer(t testing.TB) server {
	t.Helper()
	return server{chattest.Start(t)}
}

func (s server) open(t testing.TB, agent string) *chat.Manager {
	t.Helper()
	return openAt(t, s.URL, agent)
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

// Which run of a test this is: with -count each has a project of its own.
var (
	runs    sync.Map // by testing.TB
	runLast atomic.Int64
)

// project is a name that no other test has.
func project(t testing.TB) string {
	number, _ := runs.LoadOrStore(t, runLast.Add(1))
	return strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()) + fmt.Sprint("-", number)
}

// within is a context that ends a test that hangs.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
