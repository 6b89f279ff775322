package chat

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"

	"libchat.example/chat/internal/capi"
)

var (
	logger  atomic.Pointer[slog.Logger]
	logging sync.Mutex // held while the log's pipe is changed
	logPipe *pipe
)

// Levels of libchat's log, 1 to 5, and of slog.
var levels = [...]slog.Level{
	1: slog.LevelError, 2: slog.LevelWarn, 3: slog.LevelInfo, 4: slog.LevelDebug,
	5: slog.LevelDebug - 4,
}

// SetLogger has libchat's log written by l, up to the level that l has now; nil ends it, as it is
// at the start. It is for the whole process. Lines hold no body and no secret. Where l is too slow,
// lines are left out, and that is said. It waits until what was logged is written: the handler of l
// must not call it.
func SetLogger(l *slog.Logger) error {
	logging.Lock()
	defer logging.Unlock()
	logger.Store(l)
	if logPipe != nil {
		if status := capi.SetLog(-1, 0); status != capi.OK {
			return logFailed(status)
		}
		logPipe.close()
		logPipe = nil
	}
	if l == nil {
		return nil
	}
	levelMax := int32(0)
	for level := 1; level < len(levels); level++ {
		if l.Enabled(context.Background(), levels[level]) {
			levelMax = int32(level)
		}
	}
	if levelMax == 0 {
		return nil
	}
	p, err := newPipe(func(note capi.Note) { write(l, note) })
	if err != nil {
		return &Error{Code: ErrSystem, Op: "chat.SetLogger", Message: err.Error(), cause: err}
	}
	// libchat may hold a lock while it logs: it must not wait.
	if err := syscall.SetNonblock(p.fd, true); err != nil {
		p.close()
		return &Error{Code: ErrSystem, Op: "chat.SetLogger", Message: err.Error(), cause: err}
	}
	if status := capi.SetLog(p.fd, levelMax); status != capi.OK {
		p.close()
		return logFailed(status)
	}
	logPipe = p
	return nil
}

func logFailed(status capi.Status) error {
	message := "libchat refuses a change of its log"
	return &Error{Code: Code(status), Op: "chat.SetLogger", Message: message}
}

// write writes one line.
func write(l *slog.Logger, note capi.Note) {
	ctx := context.Background()
	if note.Token > 0 {
		l.Log(ctx, slog.LevelWarn, "libchat: log lines left out", "count", note.Token)
	}
	level := levels[min(max(note.Level, 1), len(levels)-1)]
	l.Log(ctx, level, string(note.Payload), "target", note.Subject)
}

// report says what no call can answer: by the logger set, else by slog's own.
func report(level slog.Level, text string, attributes ...any) {
	l := logger.Load()
	if l == nil {
		l = slog.Default()
	}
	l.Log(context.Background(), level, "libchat: "+text, attributes...)
}

// passedOver reports an event that a reader of messages does not see.
func passedOver(event *capi.Event) {
	switch event := eventOf(event).(type) {
	case Gap:
		report(slog.LevelWarn, "messages were gone before delivery",
			"after", event.After.String(), "until", event.Until.String())
	case Reset:
		report(slog.LevelWarn, "the stream was made anew or restored", "cursor", event.Cursor.String())
	case Malformed:
		report(slog.LevelWarn, "a stored payload is no envelope", "cursor", event.Cursor.String())
	case Stalled:
		report(slog.LevelWarn, "no source", "reason", event.Reason.String())
	}
}
