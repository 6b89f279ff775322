package chat

import (
	"os"
	"syscall"
	"time"

	"libchat.example/chat/internal/capi"
)

// ready is a descriptor of libchat's that is readable while there is something to take. Go's poller
// waits for it: no thread does. It is never read.
type ready struct {
	file *os.File
	wait syscall.RawConn
}

func newReady(fd uintptr) (*ready, *capi.Error) {
	file := os.NewFile(fd, "libchat")
	wait, err := file.SyscallConn()
	if err == nil {
		err = file.SetReadDeadline(time.Time{}) // refused where the poller could not take it
	}
	if err != nil {
		file.Close()
		return nil, &capi.Error{Status: capi.System, Message: err.Error()}
	}
	return &ready{file, wait}, nil
}

// until calls take, whenever there may be something, until it says that there was.
func (r *ready) until(take func(fd uintptr) bool) {
	// It fails only when the file is closed, which nobody does before the last call.
	_ = r.wait.Read(take)
}

func (r *ready) close() { r.file.Close() }
