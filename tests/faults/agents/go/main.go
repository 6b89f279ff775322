// An agent of the fault harness, in Go.
//
//	go [plain] send|watch|call NAME ARGS...
//
// README.md in the folder above says what it is told and what it prints. It runs until its input
// ends. With plain it is an agent of the original's kind, by nats.go alone.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"libchat.example/chat"
)

const (
	project  = "demo"
	callTime = 5 * time.Second
	// Calls that are under way at the end of the input have so long to end by themselves.
	grace = 500 * time.Millisecond
)

// agent is what every role has.
type agent struct {
	name  string
	begun time.Time
	// ended ends with the input, calls a moment later.
	ended, calls context.Context
}

func main() {
	args := os.Args[1:]
	role := runChat
	if len(args) > 0 && args[0] == "plain" {
		args, role = args[1:], runPlain
	}
	if len(args) < 2 {
		usage()
	}
	ended, end := context.WithCancel(context.Background())
	calls, endCalls := context.WithCancel(context.Background())
	go func() {
		// An input that cannot be read has ended, too.
		_, _ = io.Copy(io.Discard, os.Stdin)
		end()
		time.Sleep(grace)
		endCalls()
	}()
	role(&agent{args[1], time.Now(), ended, calls}, args[0], args[2:])
	say("end")
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: go [plain] send|watch|call NAME ARGS..., as README.md says")
	os.Exit(2)
}

// say writes one line, whole and at once.
func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func (a *agent) isEnding() bool { return a.ended.Err() != nil }

// pause waits so long, at most until the input ends.
func (a *agent) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-a.ended.Done():
	}
}

func (a *agent) sayReady() { say("ready %d", since(a.begun)) }

func since(begin time.Time) int64 { return time.Since(begin).Milliseconds() }

// until tries again until it works, and says false if the input ends before.
func (a *agent) until(opened func() error) bool {
	for !a.isEnding() {
		begin := time.Now()
		err := opened()
		if err == nil {
			return true
		}
		say("err open 0 %s %d", codeOf(err), since(begin))
		a.pause(100 * time.Millisecond)
	}
	return false
}

// code is a failure that has no other words.
type code string

func (c code) Error() string { return string(c) }

func codeOf(err error) string {
	var failed *chat.Error
	var plain code
	switch {
	case err == nil:
		return "OK"
	case errors.As(err, &failed):
		return failed.Code.String()
	case errors.Is(err, chat.ErrClosed):
		return "CLOSED"
	case errors.As(err, &plain):
		return string(plain)
	case errors.Is(err, context.DeadlineExceeded):
		return "TIMEOUT"
	case errors.Is(err, context.Canceled):
		return "CANCELLED"
	}
	return "FAILED"
}
