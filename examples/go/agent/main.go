// An agent of the demo, in Go: agent NAME
//
// It does what core/examples/demo/agent.rs does: follows every thread, says its lines, answers what
// it is asked, and writes all of it down in its journal. Its input is the conversation: for each
// line id, sender, thread, text, whom the sender asks before, what, and the answer, with tabs
// between; then an empty line. It runs in the folder of the server.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"libchat.example/chat"
)

// line is a line of the conversation, "" for what is not there.
type line struct{ id, from, thread, text, asks, question, answer string }

type agent struct {
	name    string
	lines   []line
	journal *journal
	manager *chat.Manager
	spokeAt int // how many lines it had heard when it last spoke: no line is said twice
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: agent NAME")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "agent %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func run(name string) error {
	input := bufio.NewReader(os.Stdin)
	lines, err := readConversation(input)
	if err != nil {
		return err
	}
	go endWithParent(input)
	journal, err := openJournal(name + ".jsonl")
	if err != nil {
		return err
	}
	if err := journal.started(); err != nil {
		return err
	}

	ctx := context.Background()
	conn, err := chat.Connect(ctx, chat.ConnectOptions{})
	if err != nil {
		return err
	}
	defer conn.Close()
	manager, err := conn.Open(ctx, "demo", name, chat.OpenOptions{})
	if err != nil {
		return err
	}
	a := &agent{name: name, lines: lines, journal: journal, manager: manager, spokeAt: -1}
	if _, err := manager.Answer(ctx, a.answer); err != nil {
		return err
	}
	if err := a.follow(ctx); err != nil {
		return err
	}
	stats, err := manager.Stats()
	if err != nil {
		return err
	}
	return journal.ended(stats.Reconnects)
}

func readConversation(input *bufio.Reader) ([]line, error) {
	var lines []line
	for {
		text, err := input.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("the conversation has no end: %w", err)
		}
		if text == "\n" {
			return lines, nil
		}
		fields := strings.Split(strings.TrimSuffix(text, "\n"), "\t")
		if len(fields) != 7 {
			return nil, fmt.Errorf("line %d of the conversation has %d fields", len(lines)+1, len(fields))
		}
		lines = append(lines, line{
			id: fields[0], from: fields[1], thread: fields[2], text: fields[3],
			asks: fields[4], question: fields[5], answer: fields[6],
		})
	}
}

// endWithParent waits for the end of the input, which is that of the process that started us.
func endWithParent(input io.Reader) {
	// An input that cannot be read has ended, too.
	_, _ = io.Copy(io.Discard, input)
	os.Exit(1)
}

// follow hears every line, and says those that are its own.
func (a *agent) follow(ctx context.Context) error {
	start := chat.StartAll()
	if !a.journal.cursor.IsZero() {
		start = chat.StartAfter(a.journal.cursor)
	}
	isCaughtUp := false
	for event, err := range a.manager.EventsAll(ctx, start) {
		if err != nil {
			return err
		}
		if err := a.journal.take(event); err != nil {
			return err
		}
		if _, ok := event.(chat.CaughtUp); ok {
			isCaughtUp = true
		}
		if a.journal.heard == len(a.lines) {
			break
		}
		line := a.lines[a.journal.heard]
		if !isCaughtUp || line.from != a.name || a.spokeAt == a.journal.heard {
			continue
		}
		a.spokeAt = a.journal.heard
		if err := a.speak(ctx, line); err != nil {
			return err
		}
	}
	return nil
}

func (a *agent) speak(ctx context.Context, line line) error {
	time.Sleep(150 * time.Millisecond) // nobody types faster
	if line.asks != "" {
		if err := a.ask(ctx, line); err != nil {
			return err
		}
	}
	begin := time.Now()
	// Under an id of its own: if we are killed before we hear it, our next process says it again,
	// and the server drops the copy.
	_, err := a.manager.SendMessage(ctx, chat.Outgoing{
		Thread: line.thread, Body: line.text, ID: line.id,
	})
	if err != nil {
		return err
	}
	return a.journal.said(time.Since(begin))
}

// ask asks until the other one is as the conversation says: there to answer, or away.
func (a *agent) ask(ctx context.Context, line line) error {
	for {
		begin := time.Now()
		answer, err := a.askOnce(ctx, line)
		isAway := errors.Is(err, chat.ErrNoResponders)
		switch {
		case errors.Is(err, chat.ErrTimeout):
			continue // it was killed between hearing and answering
		case err != nil && !isAway:
			return err
		case isAway == (line.answer == ""):
			return a.journal.asked(line, answer, time.Since(begin))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// askOnce answers nil where nobody is there.
func (a *agent) askOnce(ctx context.Context, line line) (*string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	reply, err := a.manager.Ask(ctx, line.asks, []byte(line.question))
	if err != nil {
		return nil, err
	}
	answer := string(reply)
	return &answer, nil
}

// answer answers what it is asked, as the conversation says.
func (a *agent) answer(_ context.Context, request chat.Request) ([]byte, error) {
	for _, line := range a.lines {
		if line.asks == a.name && line.question == string(request.Payload) && line.answer != "" {
			return []byte(line.answer), nil
		}
	}
	return []byte("I am here"), nil
}
