package main

import (
	"context"
	"time"
)

// verb does one call, and answers how many of what it asks for there are.
type verb func(ctx context.Context) (int, error)

// call VERB PAUSE_MS
func (a *agent) call(verbs map[string]verb, args []string) {
	name, pause := args[0], milliseconds(args[1])
	call, ok := verbs[name]
	if !ok {
		usage()
	}
	a.sayReady()
	for !a.isEnding() {
		say("begin %s", name)
		begin := time.Now()
		count, err := a.inTime(call)
		say("did %s %s %d %d", name, codeOf(err), since(begin), count)
		a.pause(pause)
	}
}

func (a *agent) inTime(call verb) (int, error) {
	ctx, cancel := context.WithTimeout(a.calls, callTime)
	defer cancel()
	return call(ctx)
}
