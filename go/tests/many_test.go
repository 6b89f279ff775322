package tests

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"libchat.example/chat"
)

// watchMany has count goroutines watch at once.
func watchMany(
	t testing.TB, m *chat.Manager, ctx context.Context, count int,
) []<-chan chat.Envelope {
	t.Helper()
	channels := make([]<-chan chat.Envelope, count)
	var all sync.WaitGroup
	for i := range channels {
		all.Go(func() { channels[i] = m.Watch(ctx, "plan") })
	}
	all.Wait()
	return channels
}

func Test1500WatchesMadeAtOnceAreAllTold(t *testing.T) {
	m, ctx := open(t, "ana"), within(t, time.Minute)
	channels := watchMany(t, m, ctx, 1500)
	check(t, m.Send(ctx, "plan", "x"))
	for _, channel := range channels {
		same(t, receive(t, ctx, channel).Body, "x")
	}
	same(t, stream(t, connect(t), m.Project()).State.Consumers, 1)
}

func Test500WatchesMadeAndCancelledLeaveNoConsumer(t *testing.T) {
	m, nc := open(t, "ana"), connect(t)
	check(t, m.Send(t.Context(), "plan", "old"))
	most := 0
	for i := range 500 {
		ctx, cancel := context.WithCancel(t.Context())
		if i%2 == 0 {
			m.Watch(ctx, "plan")
		} else { // has a consumer of its own for what is old
			for message, err := range m.Messages(ctx, "plan", chat.StartAll()) {
				check(t, err)
				same(t, message.Body, "old")
				break
			}
		}
		if i%50 == 0 {
			most = max(most, stream(t, nc, m.Project()).State.Consumers)
		}
		cancel()
	}
	channel := m.Watch(t.Context(), "plan")
	check(t, m.Send(t.Context(), "plan", "new"))
	same(t, receive(t, within(t, 20*time.Second), channel).Body, "new")
	if most == 0 {
		t.Error("nothing had a consumer")
	}
	check(t, m.Close())
	same(t, stream(t, nc, m.Project()).State.Consumers, 0)
}

func TestChannelsCloseSoonAfterTheirContextAndTheirManager(t *testing.T) {
	ana, ben := open(t, "ana"), open(t, "ben")
	ctx, cancel := context.WithCancel(t.Context())
	for _, c := range []struct {
		name string
		m    *chat.Manager
		ctx  context.Context
		end  func()
	}{
		{"context", ana, ctx, cancel},
		{"manager", ben, context.Background(), func() { ben.Close() }},
	} {
		channels := watchMany(t, c.m, c.ctx, 100)
		begin := time.Now()
		c.end()
		for _, channel := range channels {
			untilClosed(t, c.name, channel)
		}
		took := time.Since(begin)
		if t.Logf("%s: %v", c.name, took); took > 2*time.Second {
			t.Errorf("%s: took %v", c.name, took)
		}
	}
}

func Test2000IdleWatchesHoldFewThreads(t *testing.T) {
	if !alone(t) {
		return
	}
	m, ctx := open(t, "ana"), within(t, time.Minute)
	channels := watchMany(t, m, ctx, 2000)
	checkThreads(t)
	check(t, m.Send(ctx, "plan", "x"))
	for _, channel := range channels {
		same(t, receive(t, ctx, channel).Body, "x")
	}
	checkThreads(t)
}

func Test1000SendsUnderWayHoldFewThreads(t *testing.T) {
	if !alone(t) {
		return
	}
	server := startServer(t)
	m, ctx := server.open(t, "ana"), within(t, time.Minute)
	server.Freeze(t)
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() {
			if err := m.Send(ctx, fmt.Sprint("thread ", i), "x"); err != nil {
				t.Error(err)
			}
		})
	}
	underWay(t, "chat.(*Sending).finish", 1000)
	checkThreads(t)
	server.Thaw(t)
	all.Wait()
	checkThreads(t)
	threads, err := m.ListThreads(ctx)
	check(t, err)
	same(t, len(threads), 1000)
	for _, thread := range threads {
		same(t, thread.MessageCount(), 1)
	}
}

// cycle opens, is told a message, and closes.
func cycle(t testing.TB) {
	t.Helper()
	m, err := chat.Open(t.Context(), config(t, "ana"))
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	channel, all := m.Watch(ctx, "plan"), m.WatchAll(context.Background())
	unsubscribe, err := m.Respond(subject(t), echo)
	check(t, err)
	check(t, m.Send(ctx, "plan", "x"))
	same(t, receive(t, ctx, channel).Body, "x")
	same(t, receive(t, ctx, all).Body, "x")
	_, err = m.Request(ctx, subject(t), nil)
	check(t, err)
	check(t, unsubscribe())
	check(t, m.Close())
}

func TestCyclesOfOpenWatchAndCloseLeaveNothing(t *testing.T) {
	if !alone(t) {
		return
	}
	count := 100
	if isLong() {
		count = 1000
	}
	for range 200 { // pools and caches are full then
		cycle(t)
	}
	before, memory := levelNow(t), resident(t)
	for range count {
		cycle(t)
	}
	backTo(t, before)
	grown := resident(t) - memory
	if t.Logf("%d kB more than %d", grown, memory); grown > 8<<10 {
		t.Errorf("%d kB more after %d cycles", grown, count)
	}
}

// resident is the memory in use, in kB.
func resident(t testing.TB) int {
	runtime.GC()
	debug.FreeOSMemory()
	return status(t, "VmRSS")
}
