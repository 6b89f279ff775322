package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsGo is a rival: it reads and writes the same JSON in the same streams.
type natsGo struct {
	conn    *nats.Conn
	js      jetstream.JetStream
	project string
	shorts  sync.Map // from a thread's name
}

// How many messages nats.go may have in flight where it does not wait for each.
const pending = 4096

// openNatsGo connects. The project's stream is there: libchat has made it.
func openNatsGo(url, project string) *natsGo {
	conn, err := nats.Connect(url)
	must(err)
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(pending))
	must(err)
	return &natsGo{conn: conn, js: js, project: project}
}

type envelope struct {
	ID         string    `json:"id"`
	From       string    `json:"from"`
	Thread     string    `json:"thread"`
	Body       string    `json:"body"`
	Timestamp  time.Time `json:"timestamp"`
	ReplyTo    string    `json:"reply_to,omitempty"`
	ThreadName string    `json:"thread_name,omitempty"`
}

// message is what libchat sends, to the last field.
func (n *natsGo) message(thread string) *nats.Msg {
	var id [16]byte
	_, err := rand.Read(id[:])
	must(err)
	e := envelope{
		ID:         hex.EncodeToString(id[:]),
		From:       "bench",
		Thread:     n.short(thread),
		Body:       body,
		Timestamp:  time.Now().UTC(),
		ThreadName: thread,
	}
	data, err := json.Marshal(e)
	must(err)
	return &nats.Msg{
		Subject: "chat." + n.project + "." + e.Thread,
		Header:  nats.Header{"Nats-Msg-Id": {e.ID}},
		Data:    data,
	}
}

func (n *natsGo) short(thread string) string {
	if short, ok := n.shorts.Load(thread); ok {
		return short.(string)
	}
	sum := sha256.Sum256([]byte(n.project + ":" + thread))
	short := hex.EncodeToString(sum[:4])
	n.shorts.Store(thread, short)
	return short
}

func (n *natsGo) send(ctx context.Context, thread string) {
	_, err := n.js.PublishMsg(ctx, n.message(thread))
	must(err)
}

func (n *natsGo) pour(ctx context.Context, messages int) {
	n.publishAsync(messages, 1)
}

// publishAsync publishes to so many threads by turns, with as many in flight as may be.
func (n *natsGo) publishAsync(messages, threads int) {
	names := threadNames(threads)
	futures := make([]jetstream.PubAckFuture, messages)
	for i := range futures {
		message := n.message(names[i%threads])
		future, err := n.js.PublishMsgAsync(message, jetstream.WithStallWait(time.Minute))
		must(err)
		futures[i] = future
	}
	for _, future := range futures {
		select {
		case <-future.Ok():
		case err := <-future.Err():
			must(err)
		}
	}
}

func (n *natsGo) read(ctx context.Context, messages int) {
	done := make(chan struct{})
	n.consume(ctx, jetstream.OrderedConsumerConfig{}, done, func(e *envelope) {
		check(e.From, e.Body)
		if messages--; messages == 0 {
			close(done)
		}
	})
	<-done
}

func (n *natsGo) watch(ctx context.Context, thread string, told func(body string)) {
	config := jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{"chat." + n.project + "." + n.short(thread)},
		DeliverPolicy:  jetstream.DeliverNewPolicy,
	}
	n.consume(ctx, config, ctx.Done(), func(e *envelope) { told(e.Body) })
}

// consume has an ordered consumer tell each message, until it is done.
func (n *natsGo) consume(
	ctx context.Context,
	config jetstream.OrderedConsumerConfig,
	done <-chan struct{},
	told func(*envelope),
) {
	consumer, err := n.js.OrderedConsumer(ctx, "chat-"+n.project, config)
	must(err)
	consuming, err := consumer.Consume(func(message jetstream.Msg) {
		select {
		case <-done:
			return
		default:
		}
		var e envelope
		must(json.Unmarshal(message.Data(), &e))
		told(&e)
	})
	must(err)
	go func() {
		<-done
		consuming.Stop()
	}()
}

// thread is what a list tells of one.
type thread struct {
	short, lastSender, lastBody string
	lastActivity                time.Time
	messages                    int
}

// list reads the whole stream, as the original does.
func (n *natsGo) list(ctx context.Context) int {
	stream, err := n.js.Stream(ctx, "chat-"+n.project)
	must(err)
	left := int(stream.CachedInfo().State.Msgs)
	threads, done := map[string]*thread{}, make(chan struct{})
	n.consume(ctx, jetstream.OrderedConsumerConfig{}, done, func(e *envelope) {
		of := threads[e.Thread]
		if of == nil {
			of = &thread{short: e.Thread}
			threads[e.Thread] = of
		}
		of.messages++
		if e.Timestamp.After(of.lastActivity) {
			of.lastActivity, of.lastSender, of.lastBody = e.Timestamp, e.From, e.Body
		}
		if left--; left == 0 {
			close(done)
		}
	})
	<-done
	sorted := slices.SortedFunc(maps.Values(threads), func(a, b *thread) int {
		return cmp.Compare(b.lastActivity.UnixNano(), a.lastActivity.UnixNano())
	})
	return len(sorted)
}

func (n *natsGo) close() { n.conn.Close() }
