package chat

import (
	"context"
	"math"
	"time"

	"libchat.example/chat/internal/capi"
)

// ThreadSummary is one thread of a list.
type ThreadSummary struct {
	short        string
	name         string
	lastActivity time.Time
	messageCount int
	lastSender   string
	lastBody     string
	cursor       Cursor
}

// ThreadShort is the thread's 8 hex digits.
func (t ThreadSummary) ThreadShort() string { return t.short }

// Name is the thread's name; "" where its last message does not carry it.
func (t ThreadSummary) Name() string { return t.name }

// LastActivity is when the last message was stored, by the server's clock, UTC.
func (t ThreadSummary) LastActivity() time.Time { return t.lastActivity }

// MessageCount is how many messages are stored in it, malformed ones included.
func (t ThreadSummary) MessageCount() int { return t.messageCount }

// LastSender is who wrote the last message.
func (t ThreadSummary) LastSender() string { return t.lastSender }

// LastBody is the last message's text.
func (t ThreadSummary) LastBody() string { return t.lastBody }

// Cursor is the place of the newest message.
func (t ThreadSummary) Cursor() Cursor { return t.cursor }

// ListThreads lists the threads of the project, the most recently used first: all of them, or an
// error. Its cost grows with the threads, not with the messages. Without a deadline in ctx it takes
// 30 s at most.
func (m *Manager) ListThreads(ctx context.Context) ([]ThreadSummary, error) {
	assert(ctx != nil, "chat.ListThreads: ctx is nil")
	return m.list(ctx, "chat.ListThreads", func(cancel uint64, timeoutMS uint32) (
		[]capi.ThreadSummary, *capi.Error,
	) {
		return capi.ListThreads(m.handle, cancel, timeoutMS)
	})
}

// ThreadsForAgent lists the threads that agentID has written in, the most recently used first, at
// most maxThreads: all of those, or an error. Otherwise it is as [Manager.ListThreads].
func (m *Manager) ThreadsForAgent(
	ctx context.Context, agentID string, maxThreads int,
) ([]ThreadSummary, error) {
	assert(ctx != nil, "chat.ThreadsForAgent: ctx is nil")
	assert(agentID != "", "chat.ThreadsForAgent: agentID is empty")
	most := uint32(min(max(int64(maxThreads), 0), math.MaxUint32))
	return m.list(ctx, "chat.ThreadsForAgent", func(cancel uint64, timeoutMS uint32) (
		[]capi.ThreadSummary, *capi.Error,
	) {
		return capi.ThreadsForAgent(m.handle, agentID, most, cancel, timeoutMS)
	})
}

func (m *Manager) list(
	ctx context.Context, op string,
	list func(cancel uint64, timeoutMS uint32) ([]capi.ThreadSummary, *capi.Error),
) ([]ThreadSummary, error) {
	if m.closed.Load() {
		return nil, ErrClosed
	}
	var found []capi.ThreadSummary
	err := during(ctx, func(cancel uint64) (err *capi.Error) {
		found, err = list(cancel, timeoutMS(ctx, 0))
		return err
	})
	if err != nil {
		return nil, inOriginalWords(errorOf(ctx, op, err))
	}
	threads := make([]ThreadSummary, len(found))
	for i, thread := range found {
		threads[i] = ThreadSummary{
			short:        thread.Short,
			name:         thread.Name,
			messageCount: int(thread.MessageCount),
			lastSender:   thread.LastSender,
			lastBody:     thread.LastBody,
			cursor:       Cursor{thread.Cursor},
		}
		if thread.LastActivityNS != 0 {
			threads[i].lastActivity = time.Unix(0, thread.LastActivityNS).UTC()
		}
	}
	return threads, nil
}

// ThreadShort is the 8 hex digits by which a thread is addressed on the wire. It asks no server.
func ThreadShort(project, thread string) (string, error) {
	short, err := capi.ThreadShort(project, thread)
	return short, errorOf(context.Background(), "chat.ThreadShort", err)
}
