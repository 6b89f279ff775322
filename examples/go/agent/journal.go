package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"libchat.example/chat"
)

// journal is what an agent has heard and done, in all its processes: one JSON value a line.
type journal struct {
	file   *os.File
	heard  int
	cursor chat.Cursor // of the last message heard
}

// openJournal goes on with a journal. What a kill left of a line is removed: its message comes
// again.
func openJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	whole := text[:bytes.LastIndexByte(text, '\n')+1]
	if err := file.Truncate(int64(len(whole))); err != nil {
		return nil, err
	}
	j := &journal{file: file}
	for note := range bytes.Lines(whole) {
		if !bytes.HasPrefix(note, []byte(`{"saw":`)) {
			continue
		}
		var heard struct{ Saw struct{ Cursor chat.Cursor } }
		if err := json.Unmarshal(note, &heard); err != nil {
			return nil, err
		}
		j.heard++
		j.cursor = heard.Saw.Cursor
	}
	return j, nil
}

type fields map[string]any

func (j *journal) started() error {
	if j.cursor.IsZero() {
		return j.note(fields{"started": fields{"after": nil}})
	}
	return j.note(fields{"started": fields{"after": j.cursor}})
}

// take writes down what a watch tells.
func (j *journal) take(event chat.Event) error {
	switch event := event.(type) {
	case chat.Message:
		j.heard++
		return j.note(fields{"saw": fields{
			"cursor": event.Cursor,
			"id":     event.ID,
			"thread": event.Thread,
			"sender": event.Sender,
			"body":   event.Body,
		}})
	case chat.CaughtUp:
		return j.note("caught_up")
	default:
		return j.note(fields{"odd": fmt.Sprintf("%T %v", event, event)})
	}
}

func (j *journal) asked(line line, answer *string, took time.Duration) error {
	return j.note(fields{"asked": fields{
		"to": line.asks, "text": line.question, "answer": answer, "took_ms": milliseconds(took),
	}})
}

func (j *journal) said(took time.Duration) error {
	return j.note(fields{"said": fields{"took_ms": milliseconds(took)}})
}

func (j *journal) ended(reconnects uint64) error {
	return j.note(fields{"ended": fields{"reconnects": reconnects}})
}

func (j *journal) note(what any) error {
	text, err := json.Marshal(what)
	if err == nil {
		_, err = j.file.Write(append(text, '\n'))
	}
	return err
}

func milliseconds(took time.Duration) float64 { return took.Seconds() * 1000 }
