package tests

import (
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// startPlainServer starts a server that asks nobody for a password.
func startPlainServer(t testing.TB) string {
	t.Helper()
	program := os.Getenv("LIBCHAT_NATS_SERVER")
	if program == "" {
		var err error
		program, err = exec.LookPath("nats-server")
		check(t, err)
	}
	folder := t.TempDir()
	server := exec.Command(program, "--addr", "127.0.0.1", "--port", "-1", "--jetstream",
		"--store_dir", filepath.Join(folder, "store"), "--ports_file_dir", folder)
	check(t, server.Start())
	t.Cleanup(func() {
		check(t, server.Process.Kill())
		_ = server.Wait() // it says that it was killed
	})
	for ctx := within(t, 20*time.Second); ; {
		check(t, ctx.Err())
		files, err := filepath.Glob(filepath.Join(folder, "*.ports"))
		check(t, err)
		var ports struct{ Nats []string }
		if len(files) == 0 {
			continue
		}
		text, err := os.ReadFile(files[0])
		check(t, err)
		if json.Unmarshal(text, &ports) == nil && len(ports.Nats) > 0 {
			return ports.Nats[0]
		}
	}
}

// onceDialer reaches a server once.
type onceDialer struct{ hasReached atomic.Bool }

func (d *onceDialer) Dial(network, address string) (net.Conn, error) {
	if d.hasReached.Load() {
		return nil, errors.New("not again")
	}
	conn, err := net.Dial(network, address)
	if err == nil {
		d.hasReached.Store(true)
	}
	return conn, err
}

// splitUser takes user and password out of an address.
func splitUser(t testing.TB, address string) (nats.Option, string) {
	t.Helper()
	parts, err := url.Parse(address)
	check(t, err)
	password, _ := parts.User.Password()
	user := nats.UserInfo(parts.User.Username(), password)
	parts.User = nil
	return user, parts.String()
}
