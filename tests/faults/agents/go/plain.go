package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// plainAgent has its roles as the original has them, by nats.go: it reads and writes the same
// stream, without names of threads.
type plainAgent struct {
	*agent
	conn     *nats.Conn
	js       jetstream.JetStream
	names    map[string]string // of those threads whose names are known, from their shorts
	requests int
}

// envelope is a message on the wire.
type envelope struct {
	ID        string    `json:"id"`
	From      string    `json:"from"`
	Thread    string    `json:"thread"`
	Body      string    `json:"body"`
	Timestamp time.Time `json:"timestamp"`
	ReplyTo   string    `json:"reply_to,omitempty"`
}

const (
	stream   = "chat-" + project
	sendTime = 10 * time.Second
)

func runPlain(a *agent, role string, args []string) {
	p := &plainAgent{agent: a, names: map[string]string{}}
	for _, name := range strings.Split(os.Getenv("FAULTS_THREADS"), ",") {
		p.names[short(name)] = name
	}
	if p.until(p.open) {
		p.run(role, args)
	}
	if p.conn != nil {
		p.conn.Close()
	}
}

func (p *plainAgent) run(role string, args []string) {
	switch {
	case role == "send" && len(args) == 7:
		p.agent.send(p.publish, args)
	case role == "watch" && len(args) == 4:
		p.watch(args)
	case role == "call" && len(args) == 2:
		if args[0] != "request" || p.until(p.respond) {
			p.call(p.verbs(), args)
		}
	default:
		usage()
	}
}

func (p *plainAgent) open() (err error) {
	if p.conn == nil {
		p.conn, err = nats.Connect(os.Getenv("LIBCHAT_URL"), nats.MaxReconnects(-1))
		if err != nil {
			return err
		}
		if p.js, err = jetstream.New(p.conn); err != nil {
			return err
		}
	}
	return p.makeStream(p.calls)
}

// makeStream makes the stream if there is none. The original would also set one that exists back
// to these settings; the harness has set what it tests.
func (p *plainAgent) makeStream(ctx context.Context) error {
	_, err := p.js.CreateStream(ctx, jetstream.StreamConfig{
		Name:      stream,
		Subjects:  []string{"chat." + project + ".>"},
		Retention: jetstream.LimitsPolicy,
		Storage:   jetstream.FileStorage,
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil
	}
	return err
}

func short(thread string) string {
	sum := sha256.Sum256([]byte(project + ":" + thread))
	return hex.EncodeToString(sum[:4])
}

func subject(short string) string { return "chat." + project + "." + short }

func (p *plainAgent) publish(
	ctx context.Context, thread, body, id string,
) (seq uint64, isCopy bool, err error) {
	e := envelope{
		ID: id, From: p.name, Thread: short(thread), Body: body, Timestamp: time.Now().UTC(),
	}
	data, err := json.Marshal(e)
	if err != nil {
		return 0, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	message := &nats.Msg{
		Subject: subject(e.Thread), Header: nats.Header{"Nats-Msg-Id": {id}}, Data: data,
	}
	ack, err := p.js.PublishMsg(ctx, message)
	switch {
	case err == nil:
		return ack.Sequence, ack.Duplicate, nil
	case ctx.Err() != nil, errors.Is(err, nats.ErrTimeout):
		return 0, false, code("OUTCOME_UNKNOWN")
	}
	return 0, false, code("FAILED")
}

// watch THREAD PAUSE_MS QUEUE START
func (p *plainAgent) watch(args []string) {
	config := jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject("*")}}
	if args[0] != "*" {
		config.FilterSubjects[0] = subject(short(args[0]))
	}
	switch args[3] {
	case "new":
		config.DeliverPolicy = jetstream.DeliverNewPolicy
	case "all":
		config.DeliverPolicy = jetstream.DeliverAllPolicy
	default:
		usage()
	}
	messages := make(chan received, 16) // as many as the original's channel holds
	if !p.until(func() error { return p.consume(p.ended, config, messages) }) {
		return
	}
	p.sayReady()
	pause := milliseconds(args[1])
	for {
		select {
		case m := <-messages:
			sayGot(p.names[m.Thread], m.Body, m.From, m.seq, "-", m.ID)
			p.pause(pause)
		case <-p.ended.Done():
			return
		}
	}
}

type received struct {
	envelope
	seq uint64
}

// consume has an ordered consumer fill messages, until ctx ends. What is no envelope is passed
// over, in silence.
func (p *plainAgent) consume(
	ctx context.Context, config jetstream.OrderedConsumerConfig, messages chan<- received,
) error {
	consumer, err := p.js.OrderedConsumer(ctx, stream, config)
	if err != nil {
		return err
	}
	consuming, err := consumer.Consume(func(message jetstream.Msg) {
		var m received
		metadata, err := message.Metadata()
		if err != nil || json.Unmarshal(message.Data(), &m.envelope) != nil {
			return
		}
		m.seq = metadata.Sequence.Stream
		select {
		case messages <- m:
		case <-ctx.Done():
		}
	})
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, consuming.Stop)
	return nil
}

func (p *plainAgent) verbs() map[string]verb {
	return map[string]verb{
		"open":    func(ctx context.Context) (int, error) { return 0, p.makeStream(ctx) },
		"list":    p.list,
		"agent":   p.threadsOfBen,
		"request": p.request,
	}
}

func (p *plainAgent) list(ctx context.Context) (messages int, err error) {
	err = p.scan(ctx, func(envelope) { messages++ })
	return messages, err
}

func (p *plainAgent) threadsOfBen(ctx context.Context) (int, error) {
	threads := map[string]bool{}
	err := p.scan(ctx, func(e envelope) {
		if e.From == "ben" {
			threads[e.Thread] = true
		}
	})
	return len(threads), err
}

// scan reads as many messages as the stream has now.
func (p *plainAgent) scan(ctx context.Context, told func(envelope)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	of, err := p.js.Stream(ctx, stream)
	if err != nil {
		return err
	}
	left := of.CachedInfo().State.Msgs
	messages := make(chan received, 16)
	config := jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject("*")}}
	if err := p.consume(ctx, config, messages); err != nil {
		return err
	}
	for ; left > 0; left-- {
		select {
		case m := <-messages:
			told(m.envelope)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (p *plainAgent) subject() string { return "jobs." + p.name }

func (p *plainAgent) respond() error {
	_, err := p.conn.Subscribe(p.subject(), func(request *nats.Msg) {
		// An answer that is lost is missed by the one who asked, which is told below.
		_ = request.Respond(request.Data)
	})
	if err != nil {
		return err
	}
	return p.conn.FlushTimeout(callTime)
}

func (p *plainAgent) request(ctx context.Context) (int, error) {
	p.requests++
	payload := fmt.Sprint("job ", p.requests)
	reply, err := p.conn.RequestWithContext(ctx, p.subject(), []byte(payload))
	if err != nil || string(reply.Data) != payload {
		return 0, err
	}
	return 1, nil
}
