// Package chattest has the server of a test's own, which can be frozen, killed and started again.
package chattest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"libchat.example/chat"
)

// Server is a nats-server in a folder of its own.
type Server struct {
	URL, Folder string
	PID         int
}

// Start starts one, which is stopped when the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{Folder: t.TempDir()}
	s.start(t)
	t.Cleanup(func() {
		s.Thaw(t)
		check(t, chat.StopLocalServer(s.Folder))
	})
	return s
}

func (s *Server) start(t testing.TB) {
	t.Helper()
	url, err := chat.StartLocalServer(s.Folder)
	check(t, err)
	text, err := os.ReadFile(filepath.Join(s.Folder, ".libchat", "hub.json"))
	check(t, err)
	var hub struct{ Pid int }
	check(t, json.Unmarshal(text, &hub))
	s.URL, s.PID = url, hub.Pid
}

// Restart kills the server, and starts it on the same port.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	check(t, syscall.Kill(s.PID, syscall.SIGKILL))
	s.start(t)
}

// Freeze returns when every thread of the server stands still.
func (s *Server) Freeze(t testing.TB) {
	t.Helper()
	check(t, syscall.Kill(s.PID, syscall.SIGSTOP))
	for deadline := time.Now().Add(20 * time.Second); !s.isFrozen(t); {
		if time.Now().After(deadline) {
			t.Fatal("the server does not stand still")
		}
	}
}

func (s *Server) isFrozen(t testing.TB) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.PID))
	check(t, err)
	return !slices.ContainsFunc(threads, func(thread string) bool {
		stat, err := os.ReadFile(thread)
		// The state follows the name, which stands in brackets.
		return err != nil || !strings.Contains(string(stat), ") T ")
	})
}

// Thaw has the server go on.
func (s *Server) Thaw(t testing.TB) { check(t, syscall.Kill(s.PID, syscall.SIGCONT)) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
