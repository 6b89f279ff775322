package chat

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"libchat.example/chat/internal/capi"
)

// Config says who opens what, for [Open].
type Config struct {
	// AgentID is who writes; up to 256 bytes.
	AgentID string
	// ProjectPrefix names the project: one word of up to 250 bytes, without dots, slashes,
	// backslashes, wildcards and spaces, and no "$" first.
	ProjectPrefix string
	// Nats says where the server is; a *nats.Conn fits. libchat dials that address itself, so a
	// token, a key file, credentials or TLS settings do not come along: for those use Conn. While
	// that connection is down, the addresses of its Servers method are tried, if it has one.
	Nats interface{ ConnectedUrl() string }
	// MaxRetentionAge is how long the server keeps messages, at least 100 ms; 0 is for ever. It is
	// applied to the stream at every Open.
	MaxRetentionAge time.Duration
	// MaxSubscribers is how many watches may be live at once; more than 0.
	MaxSubscribers int

	// URL is where the server is, instead of Nats: one address, or several with commas.
	URL string
	// Conn is a connection to use, instead of Nats and URL. It stays open when the manager closes.
	Conn *Conn
}

// Validate answers the first field that breaks its rule.
func (c Config) Validate() error {
	switch {
	case c.AgentID == "":
		return errors.New("chat.Config: AgentID: must be non-empty")
	case c.ProjectPrefix == "":
		return errors.New("chat.Config: ProjectPrefix: must be non-empty")
	case c.Conn == nil && c.URL == "" && isNil(c.Nats):
		return errors.New("chat.Config: Nats: must be non-nil")
	case c.MaxRetentionAge < 0:
		return errors.New("chat.Config: MaxRetentionAge: must be >= 0 (0 = unbounded)")
	case c.MaxSubscribers <= 0:
		return errors.New("chat.Config: MaxSubscribers: must be > 0")
	}
	return nil
}

// isNil sees through a nil *nats.Conn in the interface.
func isNil(nats any) bool {
	if nats == nil {
		return true
	}
	value := reflect.ValueOf(nats)
	return value.Kind() == reflect.Pointer && value.IsNil()
}

// servers is where to dial.
func (c Config) servers() string {
	if c.URL != "" {
		return c.URL
	}
	if url := c.Nats.ConnectedUrl(); url != "" {
		return url
	}
	if known, ok := c.Nats.(interface{ Servers() []string }); ok {
		return strings.Join(known.Servers(), ",")
	}
	return ""
}

// Open opens a project as an agent, as the original package does: it makes the project's stream if
// there is none, and sets how long the stream keeps messages. Without a deadline in ctx it takes
// 5 s at most.
func Open(ctx context.Context, cfg Config) (*Manager, error) {
	assert(ctx != nil, "chat.Open: ctx is nil")
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("chat.Open: %w", err)
	}
	stream := "chat-" + cfg.ProjectPrefix
	op := fmt.Sprintf("chat.Open: stream %q", stream)
	if err := checkOriginal(stream, cfg); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
	}
	conn := cfg.Conn
	if conn == nil {
		servers := cfg.servers()
		if servers == "" {
			return nil, &Error{
				Code: ErrDisconnected, Op: op, Retryable: true,
				Message: "Config.Nats is not connected, and names no server",
				Hint:    "wait until it is, or give Config.URL or Config.Conn",
			}
		}
		var err error
		conn, err = connect(ctx, op, ConnectOptions{Servers: []string{servers}})
		if err != nil {
			return nil, inOriginalWords(err)
		}
	}
	m, err := conn.open(ctx, op, cfg.ProjectPrefix, cfg.AgentID, OpenOptions{
		SetRetention:    true,
		MaxRetentionAge: cfg.MaxRetentionAge,
		MaxSubscribers:  cfg.MaxSubscribers,
	})
	if err != nil {
		if cfg.Conn == nil {
			go capi.CloseConn(conn.handle, capi.Infinite)
		}
		return nil, inOriginalWords(err)
	}
	m.ownsConn = cfg.Conn == nil
	return m, nil
}

// checkOriginal refuses what the original is refused by nats.go or the server, in their words.
func checkOriginal(stream string, cfg Config) error {
	switch {
	case strings.ContainsAny(cfg.ProjectPrefix, ">*. /\\\t\r\n"):
		return &Error{
			Code:    ErrInvalidArgument,
			Op:      "nats",
			text:    fmt.Sprintf("invalid stream name: %q", stream),
			matches: "nats: invalid stream name",
		}
	case len(stream) > 255:
		return originalAPIError("stream name is too long, maximum allowed is 255")
	case cfg.MaxRetentionAge > 0 && cfg.MaxRetentionAge < 100*time.Millisecond:
		return originalAPIError("max age needs to be >= 100ms")
	}
	return nil
}

func originalAPIError(description string) error {
	return &Error{
		Code: ErrInvalidArgument,
		Op:   "nats",
		text: "API error: code=500 err_code=10052 description=" + description,
	}
}
