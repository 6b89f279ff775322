package chat_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"libchat.example/chat"
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
	return m.Run()
}

// open opens the test's project as an agent.
func open(t testing.TB, agent string) *chat.Manager {
	t.Helper()
	m, err := chat.Open(t.Context(), chat.Config{
		AgentID:        agent,
		ProjectPrefix:  project(t),
		URL:            serverURL,
		MaxSubscribers: 4096,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// project is a name that no other test has.
func project(t testing.TB) string {
	return strings.NewReplacer("/", "-", " ", "-").Replace(t.Name())
}

// within is a context that ends a test that hangs.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
