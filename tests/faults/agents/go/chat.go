package main

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"libchat.example/chat"
)

// chatAgent has its roles by libchat.
type chatAgent struct {
	*agent
	conn     *chat.Conn
	manager  *chat.Manager
	requests int
}

func runChat(a *agent, role string, args []string) {
	c := &chatAgent{agent: a}
	if c.until(c.open) {
		c.run(role, args)
	}
	c.end()
}

func (c *chatAgent) open() (err error) {
	if c.conn == nil { // one that was made reconnects by itself
		if c.conn, err = chat.Connect(c.calls, chat.ConnectOptions{}); err != nil {
			return err
		}
	}
	c.manager, err = c.conn.Open(c.calls, project, c.name, chat.OpenOptions{})
	return err
}

func (c *chatAgent) run(role string, args []string) {
	switch {
	case role == "send" && len(args) == 7:
		c.agent.send(c.store, args)
	case role == "watch" && len(args) == 4:
		c.watch(args)
	case role == "call" && len(args) == 2:
		if args[0] != "request" || c.until(c.respond) {
			c.call(c.verbs(), args)
		}
	default:
		usage()
	}
}

func (c *chatAgent) store(
	ctx context.Context, thread, body, id string,
) (seq uint64, isCopy bool, err error) {
	receipt, err := c.manager.SendMessage(ctx, chat.Outgoing{Thread: thread, Body: body, ID: id})
	return receipt.Cursor.Seq(), receipt.Duplicate, err
}

// watch THREAD PAUSE_MS QUEUE START
func (c *chatAgent) watch(args []string) {
	pause := milliseconds(args[1])
	options := []chat.WatchOption{chat.Queue(uint32(number(args[2])), 0), start(args[3])}
	isReady := false
	for !isReady && !c.isEnding() {
		begin := time.Now()
		for event, err := range c.events(args[0], options) {
			switch {
			case err != nil && isReady:
				say("over %s", codeOf(err))
				continue // it was the last
			case err != nil:
				say("err open 0 %s %d", codeOf(err), since(begin))
				c.pause(100 * time.Millisecond)
				continue
			case !isReady: // only the first event tells that it was set up
				isReady = true
				c.sayReady()
			}
			sayEvent(event)
			if _, ok := event.(chat.Message); ok {
				c.pause(pause)
			}
		}
	}
	<-c.ended.Done()
}

func (c *chatAgent) events(thread string, options []chat.WatchOption) iter.Seq2[chat.Event, error] {
	if thread == "*" {
		return c.manager.EventsAll(c.ended, options...)
	}
	return c.manager.Events(c.ended, thread, options...)
}

func start(text string) chat.Start {
	switch text {
	case "new":
		return chat.StartNew()
	case "all":
		return chat.StartAll()
	}
	cursor, err := chat.ParseCursor(text)
	if err != nil {
		usage()
	}
	return chat.StartAfter(cursor)
}

func sayEvent(event chat.Event) {
	switch event := event.(type) {
	case chat.Message:
		cursor := event.Cursor
		sayGot(event.Thread, event.Body, event.Sender, cursor.Seq(), cursor.String(), event.ID)
	case chat.CaughtUp:
		say("caughtup")
	case chat.Gap:
		say("gap %d %d", event.After.Seq(), event.Until.Seq())
	case chat.Reset:
		say("reset")
	case chat.Malformed:
		say("malformed %d", event.Cursor.Seq())
	case chat.Stalled:
		say("stalled")
	case chat.Resumed:
		say("resumed")
	}
}

func sayGot(thread, body, sender string, seq uint64, cursor, id string) {
	if thread == "" {
		thread = "-"
	}
	n, _, _ := strings.Cut(body, " ")
	say("got %s %s %s %d %s %s", thread, n, sender, seq, cursor, id)
}

func (c *chatAgent) verbs() map[string]verb {
	return map[string]verb{
		"open":    c.openAnother,
		"list":    c.list,
		"history": c.history,
		"agent":   c.threadsOfBen,
		"request": c.request,
	}
}

func (c *chatAgent) openAnother(ctx context.Context) (int, error) {
	other, err := c.conn.Open(ctx, project, c.name, chat.OpenOptions{})
	if err != nil {
		return 0, err
	}
	return 0, other.Close()
}

func (c *chatAgent) list(ctx context.Context) (messages int, err error) {
	threads, err := c.manager.ListThreads(ctx)
	for _, thread := range threads {
		messages += thread.MessageCount()
	}
	return messages, err
}

func (c *chatAgent) history(ctx context.Context) (messages int, err error) {
	start := chat.StartAll()
	for {
		page, err := c.manager.History(ctx, "t0", start)
		messages += len(page.Messages)
		if err != nil || !page.Truncated {
			return messages, err
		}
		start = chat.StartAfter(page.Next)
	}
}

func (c *chatAgent) threadsOfBen(ctx context.Context) (int, error) {
	threads, err := c.manager.ThreadsForAgent(ctx, "ben", 1000)
	return len(threads), err
}

func (c *chatAgent) subject() string { return "jobs." + c.name }

// respond answers requests as long as the manager lives.
func (c *chatAgent) respond() error {
	answer := func(_ context.Context, request chat.Request) ([]byte, error) {
		return request.Payload, nil
	}
	_, err := c.manager.Answer(c.calls, answer, chat.OnSubject(c.subject()))
	return err
}

func (c *chatAgent) request(ctx context.Context) (int, error) {
	c.requests++
	payload := fmt.Sprint("job ", c.requests)
	reply, err := c.manager.Request(ctx, c.subject(), []byte(payload))
	if err != nil || string(reply) != payload {
		return 0, err
	}
	return 1, nil
}

// end says the figures and closes.
func (c *chatAgent) end() {
	begin, stats, err := time.Now(), chat.Stats{}, error(nil)
	if c.manager != nil {
		stats, err = c.manager.Stats()
	}
	say("stats sent=%d resent=%d duplicates=%d delivered=%d gaps=%d resets=%d detaches=%d "+
		"reopens=%d reconnects=%d", stats.Sent, stats.Resent, stats.Duplicates, stats.Delivered,
		stats.Gaps, stats.Resets, stats.Detaches, stats.Reopens, stats.Reconnects)
	if err == nil && c.conn != nil {
		err = c.conn.Close() // its managers, too
	}
	if err != nil {
		say("err close 0 %s %d", codeOf(err), since(begin))
	}
}
