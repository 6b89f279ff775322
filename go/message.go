package chat

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"

	"libchat.example/chat/internal/capi"
)

// Envelope is a message as the original package has it, and as JSON the wire's own form.
type Envelope struct {
	ID        string    `json:"id"`
	From      string    `json:"from"`
	Thread    string    `json:"thread"` // the short: 8 hex digits
	Body      string    `json:"body"`
	Timestamp time.Time `json:"timestamp"`
	ReplyTo   string    `json:"reply_to,omitempty"`
}

// Message is a stored message.
type Message struct {
	// ID is the sender's: 32 hex digits unless the sender chose one.
	ID string
	// Sender is who wrote it, as the sender says; nothing proves it.
	Sender string
	// Thread is the thread's name; "" if the sender did not store it, or it is not Short's.
	Thread string
	// Short is the thread's 8 hex digits, by which it can be addressed too ([ByShort]).
	Short string
	// Body is the text.
	Body string
	// ReplyTo is the ID of the message that this one answers, or "".
	ReplyTo string
	// SentAt is by the sender's clock, UTC.
	SentAt time.Time
	// Time is when it was stored, by the server's clock, UTC.
	Time time.Time
	// Cursor is its place: go on from here to get what follows.
	Cursor Cursor
	// Headers has its header fields, nil if there are none.
	Headers Headers
}

// Context is ctx with the trace context that the message carries, by the propagator set in
// OpenTelemetry.
func (m Message) Context(ctx context.Context) context.Context { return m.Headers.context(ctx) }

// Headers are the header fields of a message or a request: names are compared to the letter, as
// NATS does. They are a carrier for OpenTelemetry's propagators.
type Headers map[string][]string

// Get answers the first value of name, or "".
func (h Headers) Get(name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// Set gives name one value; h must not be nil, as the Headers of a message without any are.
func (h Headers) Set(name, value string) { h[name] = []string{value} }

// Keys lists the names.
func (h Headers) Keys() []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	return names
}

func (h Headers) context(ctx context.Context) context.Context {
	return otel.GetTextMapPropagator().Extract(ctx, h)
}

// withTrace lists the fields, and the trace context of ctx where they have none of that name.
func (h Headers) withTrace(ctx context.Context) []capi.Header {
	trace := Headers{}
	otel.GetTextMapPropagator().Inject(ctx, trace)
	if len(h)+len(trace) == 0 {
		return nil
	}
	fields := make([]capi.Header, 0, len(h)+len(trace))
	for name, values := range h {
		for _, value := range values {
			fields = append(fields, capi.Header{Name: name, Value: value})
		}
	}
	for name, values := range trace {
		if _, given := h[name]; !given {
			fields = append(fields, capi.Header{Name: name, Value: values[0]})
		}
	}
	return fields
}

func headersOf(fields []capi.Header) Headers {
	if len(fields) == 0 {
		return nil
	}
	headers := make(Headers, len(fields))
	for _, field := range fields {
		headers[field.Name] = append(headers[field.Name], field.Value)
	}
	return headers
}

// Cursor is a place in a project's stream: save it as text, and go on from it in any process. The
// zero value is none. Cursors of one stream are in order by Seq.
type Cursor struct{ place capi.Cursor }

// Seq is the message's number in the stream.
func (c Cursor) Seq() uint64 { return c.place.Seq }

// IsZero says whether it is none.
func (c Cursor) IsZero() bool { return c == Cursor{} }

// String is the text form, as "c1.18a3f.9.0".
func (c Cursor) String() string {
	// It fails for lack of room only, and has that.
	text, _ := capi.FormatCursor(c.place)
	return text
}

// ParseCursor reads a cursor from its text.
func ParseCursor(text string) (Cursor, error) {
	place, err := capi.ParseCursor(text)
	return Cursor{place}, errorOf(context.Background(), "chat.ParseCursor", err)
}

// MarshalText is [Cursor.String]; none is "".
func (c Cursor) MarshalText() ([]byte, error) {
	if c.IsZero() {
		return nil, nil
	}
	return []byte(c.String()), nil
}

// UnmarshalText is [ParseCursor]; "" is none.
func (c *Cursor) UnmarshalText(text []byte) (err error) {
	*c = Cursor{}
	if len(text) > 0 {
		*c, err = ParseCursor(string(text))
	}
	return err
}

// Event is what a watch tells: a [Message], [CaughtUp], [Gap], [Reset], [Malformed], [Stalled] or
// [Resumed].
type Event interface{ isEvent() }

// CaughtUp comes once in a watch: all that was stored when it began is told.
type CaughtUp struct{ Cursor Cursor }

// Gap says that what lay behind After, up to and with Until, expired or was purged before it could
// be told.
type Gap struct{ After, Until Cursor }

// Reset says that the stream was made anew, restored or rolled back: all of it follows.
type Reset struct{ Cursor Cursor }

// Malformed says that what is stored at Cursor is no message: another program wrote it.
type Malformed struct{ Cursor Cursor }

// Stalled says that there was no source for 10 s, and what a call would answer; nothing is lost.
type Stalled struct{ Reason Code }

// Resumed says that there is a source again.
type Resumed struct{}

func (Message) isEvent()   {}
func (CaughtUp) isEvent()  {}
func (Gap) isEvent()       {}
func (Reset) isEvent()     {}
func (Malformed) isEvent() {}
func (Stalled) isEvent()   {}
func (Resumed) isEvent()   {}

func envelopeOf(event *capi.Event) Envelope {
	return Envelope{
		ID:        event.ID,
		From:      event.Sender,
		Thread:    event.Short,
		Body:      event.Body,
		Timestamp: time.Unix(event.SentS, event.SentNS).UTC(),
		ReplyTo:   event.ReplyTo,
	}
}

func messageOf(event *capi.Event) Message {
	return Message{
		ID:      event.ID,
		Sender:  event.Sender,
		Thread:  event.Thread,
		Short:   event.Short,
		Body:    event.Body,
		ReplyTo: event.ReplyTo,
		SentAt:  time.Unix(event.SentS, event.SentNS).UTC(),
		Time:    time.Unix(0, event.TimeNS).UTC(),
		Cursor:  Cursor{event.Cursor},
		Headers: headersOf(event.Headers),
	}
}

// eventOf is nil for a kind that this package does not know.
func eventOf(event *capi.Event) Event {
	switch event.Kind {
	case capi.EventMessage:
		return messageOf(event)
	case capi.EventCaughtUp:
		return CaughtUp{Cursor{event.Cursor}}
	case capi.EventGap:
		return Gap{After: Cursor{event.After}, Until: Cursor{event.Cursor}}
	case capi.EventReset:
		return Reset{Cursor{event.Cursor}}
	case capi.EventMalformed:
		return Malformed{Cursor{event.Cursor}}
	case capi.EventStalled:
		return Stalled{Code(event.Reason)}
	case capi.EventResumed:
		return Resumed{}
	}
	return nil
}
