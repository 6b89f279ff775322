package chat

import (
	"bufio"
	"io"
	"os"

	"libchat.example/chat/internal/capi"
)

// pipe is where libchat's threads tell Go something.
type pipe struct {
	write *os.File
	fd    int
	ended chan struct{}
}

// newPipe starts the goroutine that takes the notes.
func newPipe(take func(capi.Note)) (*pipe, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	// Asked for its number, the writing end blocks: nothing told is lost.
	p := &pipe{write: write, fd: int(write.Fd()), ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		defer read.Close()
		notes := bufio.NewReader(read)
		var address [capi.NoteSize]byte
		for {
			if _, err := io.ReadFull(notes, address[:]); err != nil {
				return // it was closed
			}
			take(capi.TakeNote(address))
		}
	}()
	return p, nil
}

// close waits until all that was told is taken.
func (p *pipe) close() {
	p.write.Close()
	<-p.ended
}
