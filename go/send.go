package chat

import (
	"context"
	"sync/atomic"

	"libchat.example/chat/internal/capi"
)

// Outgoing is a message to send.
type Outgoing struct {
	// Thread is the thread's name: any text but "".
	Thread string
	// Body is text: UTF-8. With its envelope it must fit the server's limit, 1 MiB unless it was set.
	Body string
	// ID is an idempotency key of up to 64 bytes; "" draws 32 hex digits. What is sent twice under
	// one id, within the stream's duplicate window (2 minutes by default), is stored once. Where
	// another message of the project has the id, the send fails with ErrConflict.
	ID string
	// ReplyTo is the ID of the message that this one answers.
	ReplyTo string
	// Headers are stored with it. Names starting with "Nats-" are the server's.
	Headers Headers
	// ExpectLast stores only if the thread's newest message is at this place, else ErrConflict; the
	// zero Cursor expects a thread without messages.
	ExpectLast *Cursor
	// ByShort says that Thread is the 8 hex digits, not the name.
	ByShort bool
	// Unordered does not wait behind earlier sends to the thread: faster, order not kept.
	Unordered bool
}

// Receipt is proof that a message is stored; of a send that failed, its id.
type Receipt struct {
	ID string
	// Cursor is its place; zero if this agent may not read where it is stored.
	Cursor Cursor
	// Duplicate says that it was stored before, under this id: Cursor is the first copy's.
	Duplicate bool
}

// Send stores body in thread, and returns when it is stored. Without a deadline in ctx it takes 5 s
// at most. Messages of one manager to one thread are stored in the order of the calls.
//
// After an error that matches [ErrOutcomeUnknown] or [ErrPanic] the message may be stored; after
// any other it is not.
func (m *Manager) Send(ctx context.Context, thread, body string) error {
	assert(m != nil, "chat.Send: receiver is nil")
	assert(ctx != nil, "chat.Send: ctx is nil")
	assert(thread != "", "chat.Send: thread is empty")
	if m.closed.Load() {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s, err := m.begin(ctx, Outgoing{Thread: thread, Body: body}, "chat.Send", 5000)
	if err == nil {
		_, err = s.finish()
	}
	return inOriginalWords(err)
}

// SendMessage stores one message and returns when it is stored. Without a deadline in ctx it takes
// 10 s at most. The receipt's ID is filled on failures too, once the arguments were found good.
//
// It fails with
//   - ErrOutcomeUnknown: the message may be stored. Send again with the same ID: the server drops
//     the copy.
//   - ErrTimeout, ErrDisconnected, ErrCancelled: nothing was sent.
//   - ErrTooLarge: the server's limit is smaller than this message.
//   - ErrConflict: ExpectLast: the thread has moved on.
//   - ErrNotFound: the stream was deleted.
func (m *Manager) SendMessage(ctx context.Context, message Outgoing) (Receipt, error) {
	assert(ctx != nil, "chat.SendMessage: ctx is nil")
	s, err := m.begin(ctx, message, "chat.SendMessage", 0)
	if err != nil {
		return Receipt{}, err
	}
	return s.finish()
}

// SendAsync sends without waiting for the server's word: [Sending.Wait] does. Messages to one
// thread are stored in the order of the calls. It waits for a place where 1,024 sends of this
// manager are under way. The end of ctx ends the send, also later.
func (m *Manager) SendAsync(ctx context.Context, message Outgoing) (*Sending, error) {
	assert(ctx != nil, "chat.SendAsync: ctx is nil")
	s, err := m.begin(ctx, message, "chat.SendAsync", 0)
	if err != nil {
		return nil, err
	}
	if ctx.Done() != nil {
		unlink := context.AfterFunc(ctx, s.cancel)
		s.unlink.Store(&unlink)
		if s.state.Load() == sendEnded {
			unlink()
		}
	}
	return s, nil
}

// Sending is a send under way.
type Sending struct {
	ctx     context.Context
	op      string
	slot    uint64
	token   uint64 // cancels it
	state   atomic.Int32
	unlink  atomic.Pointer[func() bool]
	done    chan struct{}
	receipt Receipt
	err     error
}

// What of a cancel token and its send came first.
const (
	sendUnderWay = iota
	sendCancelled
	sendEnded
)

// Done is closed when the send has ended: Wait does not wait then.
func (s *Sending) Done() <-chan struct{} { return s.done }

// Wait answers what the send came to, as SendMessage does. When ctx ends before, it answers that,
// and the send goes on.
func (s *Sending) Wait(ctx context.Context) (Receipt, error) {
	select {
	case <-s.done:
	case <-ctx.Done():
		select {
		case <-s.done: // both: what it came to counts
		default:
			return Receipt{}, ctx.Err()
		}
	}
	return s.receipt, s.err
}

// finish waits for the end, which the send's own context hastens.
func (s *Sending) finish() (Receipt, error) {
	select {
	case <-s.done:
	case <-s.ctx.Done():
		s.cancel()
		<-s.done
	}
	return s.receipt, s.err
}

func (s *Sending) cancel() {
	// Once the send has ended, its token serves another.
	if s.state.CompareAndSwap(sendUnderWay, sendCancelled) {
		capi.FireCancel(s.token)
	}
}

// How many sends of a manager may be under way.
const sendsMax = 1024

// sends are those under way: each has a slot, whose number is what libchat is given to tell it by.
type sends struct {
	manager  uint64
	ready    *ready
	ended    chan struct{}
	free     chan uint64
	underWay [sendsMax]atomic.Pointer[Sending]
	tokens   [sendsMax]uint64 // cancel tokens, used again until they are fired
}

// open starts the goroutine that is told the ends.
func (s *sends) open(manager uint64) *capi.Error {
	fd, err := capi.SentFD(manager)
	if err != nil {
		return err
	}
	if s.ready, err = newReady(fd); err != nil {
		return err
	}
	s.manager, s.ended, s.free = manager, make(chan struct{}), make(chan uint64, sendsMax)
	for slot := range uint64(sendsMax) {
		s.free <- slot
	}
	go func() {
		defer close(s.ended)
		defer s.ready.close()
		room, sent, status := new(capi.Ends), s.sent, capi.OK
		take := func(uintptr) bool {
			status, _ = capi.TakeSent(manager, room, sent)
			return status != capi.Empty
		}
		for status == capi.OK {
			s.ready.until(take)
		}
	}()
	return nil
}

// close waits until nothing is under way, nor will be: the manager is closed.
func (s *sends) close() {
	<-s.ended
	for range sendsMax {
		if token := s.tokens[<-s.free]; token != 0 {
			capi.CloseCancel(token)
		}
	}
}

// begin hands a message to libchat; its end is told to sent.
func (m *Manager) begin(
	ctx context.Context, message Outgoing, op string, otherwiseMS uint32,
) (*Sending, error) {
	if m.closed.Load() {
		return nil, ErrClosed
	}
	if ctx.Err() != nil {
		return nil, errorOf(ctx, op, &capi.Error{
			Status: capi.Cancelled, Message: "the context had ended before the call: nothing was sent",
		})
	}
	s := &Sending{ctx: ctx, op: op, done: make(chan struct{})}
	select {
	case s.slot = <-m.sends.free:
	case <-m.done:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, errorOf(ctx, op, &capi.Error{
			Status: capi.Cancelled, Message: "no place among the sends under way: nothing was sent",
		})
	}
	given := capi.Sending{
		Thread:    message.Thread,
		ID:        message.ID,
		ReplyTo:   message.ReplyTo,
		Body:      message.Body,
		Headers:   message.Headers.withTrace(ctx),
		TimeoutMS: timeoutMS(ctx, otherwiseMS),
		ByShort:   message.ByShort,
		Unordered: message.Unordered,
	}
	if message.ExpectLast != nil {
		given.HasExpect, given.ExpectLast = true, message.ExpectLast.place
	}
	err := m.sends.begin(s, &given)
	return s, errorOf(ctx, op, err)
}

func (s *sends) begin(sending *Sending, given *capi.Sending) (err *capi.Error) {
	if sending.ctx.Done() != nil {
		token := &s.tokens[sending.slot]
		if *token == 0 {
			if *token, err = capi.NewCancel(); err != nil {
				s.free <- sending.slot
				return err
			}
		}
		sending.token = *token
	}
	s.underWay[sending.slot].Store(sending)
	if err = capi.Send(s.manager, sending.slot, given, sending.token); err != nil {
		s.underWay[sending.slot].Store(nil)
		s.free <- sending.slot
	}
	return err
}

// sent ends a send.
func (s *sends) sent(end capi.Sent) {
	sending := s.underWay[end.Token].Swap(nil)
	sending.receipt = Receipt{end.ID, Cursor{end.Cursor}, end.Duplicate}
	sending.err = errorOf(sending.ctx, sending.op, end.Error)
	if !sending.state.CompareAndSwap(sendUnderWay, sendEnded) {
		capi.CloseCancel(sending.token)
		s.tokens[end.Token] = 0
	}
	if unlink := sending.unlink.Load(); unlink != nil {
		(*unlink)()
	}
	close(sending.done)
	s.free <- end.Token
}
