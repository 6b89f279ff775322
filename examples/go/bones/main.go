// Two agents coordinate by the calls that the package internal/chat of bones has, and by no other.
//
//	bones URL
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"libchat.example/chat"
)

// coord is what an agent has: posts, subscriptions, questions, and a briefing when it begins.
type coord struct {
	project, agent string
	chat           *chat.Manager
	stop           func() error // ends the answering
}

// server is where to dial; a *nats.Conn fits in its place.
type server string

func (s server) ConnectedUrl() string { return string(s) }

func open(ctx context.Context, nats server, project, agent string) (*coord, error) {
	m, err := chat.Open(ctx, chat.Config{
		AgentID:         agent,
		ProjectPrefix:   project,
		Nats:            nats,
		MaxRetentionAge: 24 * time.Hour,
		MaxSubscribers:  8,
	})
	if err != nil {
		return nil, err
	}
	return &coord{project, agent, m, func() error { return nil }}, nil
}

func (c *coord) close() error { return errors.Join(c.stop(), c.chat.Close()) }

func (c *coord) post(ctx context.Context, thread, body string) error {
	return c.chat.Send(ctx, thread, body)
}

// subscribe tells every message of the project, until the function that it returns is called.
func (c *coord) subscribe(ctx context.Context) (<-chan chat.Envelope, func()) {
	ctx, cancel := context.WithCancel(ctx)
	return c.chat.WatchAll(ctx), cancel
}

func (c *coord) answer(handler func(question string) (string, error)) (err error) {
	c.stop, err = c.chat.Respond(c.subject(c.agent), func(question []byte) ([]byte, error) {
		answer, err := handler(string(question))
		return []byte(answer), err
	})
	return err
}

func (c *coord) ask(ctx context.Context, agent, question string) (string, error) {
	answer, err := c.chat.Request(ctx, c.subject(agent), []byte(question))
	return string(answer), err
}

func (c *coord) subject(agent string) string { return c.project + ".ask." + agent }

// prime prints what an agent should know when it begins: the threads, and which are its own.
func (c *coord) prime(ctx context.Context) error {
	all, err := c.chat.ListThreads(ctx)
	if err != nil {
		return err
	}
	own, err := c.chat.ThreadsForAgent(ctx, c.agent, 10)
	if err != nil {
		return err
	}
	isOwn := map[string]bool{}
	for _, thread := range own {
		isOwn[thread.ThreadShort()] = true
	}
	fmt.Printf("%s begins; %d of %d threads are its own\n", c.agent, len(own), len(all))
	for _, thread := range all {
		mark := " "
		if isOwn[thread.ThreadShort()] {
			mark = "*"
		}
		fmt.Printf("%s %s %d, the last by %s: %s\n", mark, thread.ThreadShort(),
			thread.MessageCount(), thread.LastSender(), thread.LastBody())
	}
	return nil
}

func run(ctx context.Context, nats server) error {
	ana, err := open(ctx, nats, "shop", "ana")
	if err != nil {
		return err
	}
	defer ana.close()
	ben, err := open(ctx, nats, "shop", "ben")
	if err != nil {
		return err
	}
	defer ben.close()
	if err := converse(ctx, ana, ben); err != nil {
		return err
	}
	if err := question(ctx, ana, ben); err != nil {
		return err
	}
	return ben.prime(ctx)
}

// converse has ben hear what ana posts, and answer in the same thread.
func converse(ctx context.Context, ana, ben *coord) error {
	heard, unsubscribe := ben.subscribe(ctx)
	posts := []struct {
		from         *coord
		thread, body string
	}{
		{ana, "plan", "prices first"},
		{ana, "stock", "12 crates of pears"},
		{ben, "plan", "I take the prices"},
	}
	for _, post := range posts {
		if err := post.from.post(ctx, post.thread, post.body); err != nil {
			return err
		}
		envelope := <-heard
		fmt.Printf("%s %s: %s\n", envelope.Thread, envelope.From, envelope.Body)
	}
	unsubscribe()
	for range heard { // it is closed
	}
	return nil
}

// question has ana ask ben, who is there, and carl, who is not.
func question(ctx context.Context, ana, ben *coord) error {
	err := ben.answer(func(question string) (string, error) {
		return "to " + question + " ben says yes", nil
	})
	if err != nil {
		return err
	}
	answer, err := ana.ask(ctx, "ben", "may I ship?")
	if err != nil {
		return err
	}
	fmt.Println(answer)
	_, err = ana.ask(ctx, "carl", "are you there?")
	fmt.Println("carl:", err)
	return nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: bones URL")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, server(os.Args[1])); err != nil {
		fmt.Fprintln(os.Stderr, "bones:", err)
		os.Exit(1)
	}
}
