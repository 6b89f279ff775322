package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// sender stores one message, and answers where, and whether it was there before.
type sender func(ctx context.Context, thread, body, id string) (seq uint64, isCopy bool, err error)

// A send whose outcome is unknown is repeated so often at most.
const repeatsMax = 5

// send PREFIX THREADS COUNT PAUSE_MS SIZE REPEAT FIRST
func (a *agent) send(send sender, args []string) {
	a.sayReady()
	var flows sync.WaitGroup
	for k := range number(args[1]) {
		flow := flow{a, send, fmt.Sprint(args[0], k), args[5] == "1"}
		flows.Go(func() { flow.run(args) })
	}
	flows.Wait()
	<-a.ended.Done()
}

// flow sends to one thread, one message after the other.
type flow struct {
	*agent
	send    sender
	thread  string
	repeats bool
}

func (f flow) run(args []string) {
	count, pause, first := number(args[2]), milliseconds(args[3]), number(args[6])
	padding := ""
	if size := number(args[4]); size > 0 {
		padding = " " + strings.Repeat("x", size)
	}
	for n := first; (count == 0 || n < first+count) && !f.isEnding(); n++ {
		f.message(n, fmt.Sprint(n, padding))
		f.pause(pause)
	}
}

// message sends one, again under the same id while nobody knows whether it is stored.
func (f flow) message(n int, body string) {
	result := f.once(n, body)
	for range repeatsMax {
		if result != "OUTCOME_UNKNOWN" || !f.repeats || f.isEnding() {
			break
		}
		result = f.once(n, body)
	}
	if result != "OK" {
		f.pause(100 * time.Millisecond)
	}
}

func (f flow) once(n int, body string) string {
	say("try %s %d", f.thread, n)
	begin := time.Now()
	seq, isCopy, err := f.send(f.calls, f.thread, body, fmt.Sprintf("%s-%s-%d", f.name, f.thread, n))
	if err != nil {
		say("err %s %d %s %d", f.thread, n, codeOf(err), since(begin))
		return codeOf(err)
	}
	duplicate := 0
	if isCopy {
		duplicate = 1
	}
	say("ok %s %d %d %d %d", f.thread, n, seq, duplicate, since(begin))
	return "OK"
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		usage()
	}
	return n
}

func milliseconds(text string) time.Duration {
	return time.Duration(number(text)) * time.Millisecond
}
