package chat

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"libchat.example/chat/internal/capi"
)

// Manager is one agent in one project, with all verbs. Its methods may be called from any
// goroutine; after Close they answer [ErrClosed].
type Manager struct {
	handle         uint64
	project, agent string
	conn           *Conn
	ownsConn       bool

	closed     atomic.Bool
	closing    sync.Once
	done       chan struct{}  // closed by Close, at its start
	pumps      sync.WaitGroup // of the channels that Watch has given out
	notes      *pipe          // from the first responder on
	sends      sends
	settingUp  chan struct{} // has room for those watches that may be set up at once
	mu         sync.Mutex
	last       uint64 // token given to a responder
	responders map[uint64]*Responder
}

// OpenOptions say how to open a project with [Conn.Open]. The zero value leaves a stream that
// exists as it is, and makes one that keeps messages for ever.
type OpenOptions struct {
	// SetRetention applies MaxRetentionAge, to a stream that exists too: at least 100 ms; 0 is for
	// ever.
	SetRetention    bool
	MaxRetentionAge time.Duration
	// BindOnly wants a stream that exists: else ErrNotFound.
	BindOnly bool
	// MaxSubscribers is how many watches may be live at once; 0 is 1024.
	MaxSubscribers int
}

// Open opens a project as an agent; it makes the project's stream if there is none. Without a
// deadline in ctx it takes 10 s at most.
//
// It fails with ErrConflict when the stream's settings would break what libchat promises,
// ErrNotFound when there is no stream and BindOnly is set, ErrServer when JetStream is off.
func (c *Conn) Open(
	ctx context.Context, project, agent string, options OpenOptions,
) (*Manager, error) {
	assert(ctx != nil, "chat.Conn.Open: ctx is nil")
	return c.open(ctx, "chat.Conn.Open", project, agent, options)
}

func (c *Conn) open(
	ctx context.Context, op, project, agent string, options OpenOptions,
) (*Manager, error) {
	if options.MaxSubscribers < 0 {
		return nil, &Error{Code: ErrInvalidArgument, Op: op, Message: "MaxSubscribers: below 0"}
	}
	given := capi.OpenOptions{
		Project:           project,
		Agent:             agent,
		SetRetention:      options.SetRetention,
		MaxRetentionAgeNS: options.MaxRetentionAge.Nanoseconds(),
		BindOnly:          options.BindOnly,
		MaxSubscribers:    uint32(min(int64(options.MaxSubscribers), math.MaxUint32)),
		TimeoutMS:         timeoutMS(ctx, 0),
	}
	m := &Manager{
		project:    project,
		agent:      agent,
		conn:       c,
		settingUp:  make(chan struct{}, settingUpMax),
		done:       make(chan struct{}),
		responders: map[uint64]*Responder{},
	}
	err := during(ctx, func(cancel uint64) (err *capi.Error) {
		m.handle, err = capi.Open(c.handle, given, cancel)
		return err
	})
	if err != nil {
		return nil, errorOf(ctx, op, err)
	}
	if err := m.sends.open(m.handle); err != nil {
		capi.CloseManager(m.handle, capi.Infinite)
		return nil, errorOf(ctx, op, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.managers == nil { // the connection was closed meanwhile
		go m.Close()
		return nil, ErrClosed
	}
	c.managers[m] = struct{}{}
	return m, nil
}

// Close ends every watch, responder and send of this manager, and deletes what it had on the
// server; the stream stays, and so does a connection given by Config.Conn. It answers nil, also
// when called again. What has not ended after 2 s ends in the background.
func (m *Manager) Close() error {
	assert(m != nil, "chat.Close: receiver is nil")
	m.closing.Do(m.close)
	return nil
}

func (m *Manager) close() {
	m.mu.Lock()
	m.closed.Store(true) // and no pump begins from here on
	m.mu.Unlock()
	close(m.done)
	m.conn.mu.Lock()
	delete(m.conn.managers, m)
	m.conn.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		capi.CloseManager(m.handle, capi.Infinite)
		m.giveBack()
	}()
	select {
	case <-ended:
	case <-time.After(closeTime):
	}
}

// giveBack gives back what is left once libchat tells nothing any more.
func (m *Manager) giveBack() {
	m.pumps.Wait()
	m.sends.close()
	m.mu.Lock()
	notes := m.notes
	m.mu.Unlock()
	if notes != nil {
		notes.close()
	}
	if m.ownsConn {
		capi.CloseConn(m.conn.handle, capi.Infinite)
	}
}

// pump runs what fills a channel, unless the manager is closed.
func (m *Manager) pump(run func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed.Load() {
		return false
	}
	m.pumps.Go(run)
	return true
}

// Project is the project's name.
func (m *Manager) Project() string { return m.project }

// Agent is this agent's name: the sender of what it sends.
func (m *Manager) Agent() string { return m.agent }

// Stats is what a manager has counted since it was opened.
type Stats struct {
	Sent          uint64 // messages stored
	Resent        uint64 // repeated under the same id, for want of an answer
	Duplicates    uint64 // answers saying that a message was stored already
	Delivered     uint64 // messages handed to watches
	Malformed     uint64 // stored payloads that are no message
	Gaps          uint64 // Gap events
	Resets        uint64 // Reset events
	Detaches      uint64 // times a watch was too slow for the live tail
	Reopens       uint64 // times the live tail was opened again after a fault
	Reconnects    uint64 // times the connection was made again
	Watches       uint64 // watches that are live now
	BufferedBytes uint64 // queued now for all watches of the connection
	Connected     bool   // the connection is up now
	Polling       bool   // no consumer to spare: the tail asks by turns
}

// Stats answers the figures of now.
func (m *Manager) Stats() (Stats, error) {
	if m.closed.Load() {
		return Stats{}, ErrClosed
	}
	stats, err := capi.ManagerStats(m.handle)
	return Stats(stats), errorOf(context.Background(), "chat.Stats", err)
}

// take is told each note, one after the other.
func (m *Manager) take(note capi.Note) {
	m.mu.Lock()
	responder := m.responders[note.Token]
	m.mu.Unlock()
	if note.Kind == capi.Incoming {
		go responder.serve(note)
		return
	}
	m.mu.Lock()
	delete(m.responders, note.Token)
	m.mu.Unlock()
	responder.end()
}
