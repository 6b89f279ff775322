package main

import (
	"context"
	"fmt"
	"log"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	bodyLen      = 300
	oneByOne     = 2_000
	sent         = 30_000
	senders      = 256
	manyThreads  = 1_000
	stored       = 200_000
	readThreads  = 100
	listThreads  = 5_000
	liveMessages = 2_000
	burst        = 30_000
)

var body = strings.Repeat("x", bodyLen)

// check looks at what was read.
func check(sender, body string) {
	if sender == "" || len(body) != bodyLen {
		log.Fatalf("read %q of %q", body, sender)
	}
}

func threadNames(count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprint("thread ", i)
	}
	return names
}

// rivals opens both in a project.
func (b *bench) rivals(ctx context.Context, project string) (*libchat, *natsGo) {
	ours := openLibchat(ctx, b.url, project)
	return ours, openNatsGo(b.url, project)
}

func sendRows(ctx context.Context, b *bench) []row {
	ours, theirs := b.rivals(ctx, "bench-go-send")
	defer ours.close()
	defer theirs.close()
	each := func(r rival) func() cost {
		return func() cost { return sendEach(ctx, r) }
	}
	costs := alternate(b.rounds, each(ours), each(theirs))
	line := func(what, aim string, figure figure) row {
		return row{"Go `Send`, " + what, "nats.go `PublishMsg`", aim, figure, costs[0], costs[1]}
	}
	return []row{
		line("one at a time, p50", "≤ 1.05", p50),
		line("one at a time, p99", "", p99),
		line("allocations", "", allocs),
		line("bytes allocated", "", bytes),
	}
}

func sendEach(ctx context.Context, r rival) cost {
	return measure(oneByOne, func() []time.Duration {
		taken := make([]time.Duration, oneByOne)
		for i := range taken {
			begun := time.Now()
			r.send(ctx, "one")
			taken[i] = time.Since(begun)
		}
		return taken
	})
}

func flightRows(ctx context.Context, b *bench) []row {
	ours, theirs := b.rivals(ctx, "bench-go-flight")
	defer ours.close()
	defer theirs.close()
	work := func(work func()) func() cost {
		return func() cost {
			return measure(sent, func() []time.Duration { work(); return nil })
		}
	}
	costs := alternate(b.rounds,
		work(func() { sendMany(ctx, ours) }),
		work(func() { sendMany(ctx, theirs) }),
		work(func() { ours.sendAsync(ctx, sent, manyThreads, false) }),
		work(func() { theirs.publishAsync(sent, manyThreads) }),
		work(func() { ours.pour(ctx, sent) }),
		work(func() { theirs.pour(ctx, sent) }),
	)
	publish := "nats.go `PublishMsg`, 256 goroutines, 1,000 subjects"
	return []row{
		{"Go `Send`, 256 goroutines, 1,000 threads, 300 B", publish, "2.50", rate, costs[0], costs[1]},
		{"Go `SendAsync`, 1,024 in flight, 1,000 threads", publish, "2.50", rate, costs[2], costs[1]},
		{"Go `SendAsync`, 1,024 in flight, 1,000 threads",
			"nats.go `PublishMsgAsync`, 4,096, 1,000 subjects", "", rate, costs[2], costs[3]},
		{"Go `SendAsync`, unordered, 1,024 in flight, one thread",
			"nats.go `PublishMsgAsync`, 4,096, one subject", "1.15", rate, costs[4], costs[5]},
	}
}

// sendMany sends from many goroutines, each of which waits for its message.
func sendMany(ctx context.Context, r rival) {
	names := threadNames(manyThreads)
	var next atomic.Int64
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for n := next.Add(1); n <= sent; n = next.Add(1) {
				r.send(ctx, names[n%manyThreads])
			}
		})
	}
	all.Wait()
}

func readRows(ctx context.Context, b *bench) []row {
	ours, theirs := b.rivals(ctx, "bench-go-read")
	defer ours.close()
	defer theirs.close()
	ours.store(ctx, readThreads)
	work := func(work func()) func() cost {
		return func() cost {
			return measure(stored, func() []time.Duration { work(); return nil })
		}
	}
	costs := alternate(b.rounds,
		work(func() { ours.read(ctx, stored) }),
		work(func() { ours.history(ctx, readThreads) }),
		work(func() { theirs.read(ctx, stored) }),
	)
	rival := "nats.go ordered consumer, `Consume` and `json.Unmarshal`"
	return []row{
		{"Go `MessagesAll` reads 200,000 stored messages of 300 B", rival, "", rate, costs[0], costs[2]},
		{"Go `History` reads the same, 1,000 a page", rival, "", rate, costs[1], costs[2]},
		{"Go `MessagesAll`, allocations a message", rival, "", allocs, costs[0], costs[2]},
		{"Go `MessagesAll`, bytes allocated a message", rival, "", bytes, costs[0], costs[2]},
	}
}

// store fills the project up.
func (l *libchat) store(ctx context.Context, threads int) {
	there, err := l.manager.ListThreads(ctx)
	must(err)
	missing := stored
	for _, thread := range there {
		missing -= thread.MessageCount()
	}
	l.sendAsync(ctx, missing, threads, true)
}

func liveRows(ctx context.Context, b *bench) []row {
	ours, theirs := b.rivals(ctx, "bench-go-live")
	defer ours.close()
	defer theirs.close()
	each := func(r rival) func() cost {
		return func() cost { return deliverEach(ctx, r, theirs) }
	}
	many := func(r rival) func() cost {
		return func() cost { return deliverMany(ctx, r, theirs) }
	}
	costs := alternate(b.rounds,
		each(ours), each(theirs), many(ours), many(theirs), many(nobody{}))
	for i, alone := range costs[4] {
		costs[2][i] = costs[2][i].without(alone)
		costs[3][i] = costs[3][i].without(alone)
	}
	line := func(what string, figure figure, ours, theirs []cost) row {
		return row{"Go `Watch`, " + what, "nats.go ordered consumer", "", figure, ours, theirs}
	}
	return []row{
		line("from publish to receive, p50", p50, costs[0], costs[1]),
		line("from publish to receive, p99", p99, costs[0], costs[1]),
		line("a burst of 30,000", rate, costs[2], costs[3]),
		line("allocations a message", allocs, costs[2], costs[3]),
		line("bytes allocated a message", bytes, costs[2], costs[3]),
	}
}

// deliverEach has the publisher publish one message after the other, each when the one before was
// received.
func deliverEach(ctx context.Context, reader rival, publisher *natsGo) cost {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	received := make(chan time.Time, 1)
	reader.watch(ctx, "live", func(string) { received <- time.Now() })
	messages := publisher.messages("live", liveMessages)
	return measure(liveMessages, func() []time.Duration {
		taken := make([]time.Duration, liveMessages)
		for i, message := range messages {
			begun := time.Now()
			must(publisher.conn.PublishMsg(message))
			taken[i] = (<-received).Sub(begun)
		}
		return taken
	})
}

// deliverMany has the publisher publish without waiting for anything.
func deliverMany(ctx context.Context, reader rival, publisher *natsGo) cost {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	left, done := burst, make(chan struct{})
	reader.watch(ctx, "live", func(string) {
		if left--; left == 0 {
			close(done)
		}
	})
	messages := publisher.messages("live", burst)
	taken := measure(burst, func() []time.Duration {
		for _, message := range messages {
			must(publisher.conn.PublishMsg(message))
		}
		must(publisher.conn.Flush())
		if reader != (nobody{}) {
			<-done
		}
		return nil
	})
	// Once this is stored, so is all before it: the next watch will see none of it.
	publisher.send(ctx, "live")
	return taken
}

func (n *natsGo) messages(thread string, count int) []*nats.Msg {
	messages := make([]*nats.Msg, count)
	for i := range messages {
		messages[i] = n.message(thread)
	}
	return messages
}

// nobody reads nothing: what it costs is the publisher's.
type nobody struct{ rival }

func (nobody) watch(context.Context, string, func(string)) {}

func listRows(ctx context.Context, b *bench) []row {
	ours, theirs := b.rivals(ctx, "bench-go-list")
	defer ours.close()
	defer theirs.close()
	ours.store(ctx, listThreads)
	list := func(r rival) func() cost {
		return func() cost {
			return measure(stored, func() []time.Duration {
				if count := r.list(ctx); count != listThreads {
					log.Fatalf("listed %d threads", count)
				}
				return nil
			})
		}
	}
	costs := alternate(b.rounds, list(ours), list(theirs))
	what := "Go `ListThreads`, 200,000 messages in 5,000 threads"
	rival := "nats.go reads all by an ordered consumer"
	return []row{
		{what, rival, "", seconds, costs[0], costs[1]},
		{what + ", allocated", rival, "", megabytes, costs[0], costs[1]},
	}
}
