package chat

import (
	"errors"
	"reflect"
	"strings"
	"time"
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
