package chat

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"libchat.example/chat/internal/capi"
)

// ConnectOptions say how to reach and enter a server. The zero value looks for it: in LIBCHAT_URL,
// NATS_URL, the nearest .libchat/hub.json upward from the current folder (as `libchat up` writes
// it), the nearest .bones/hub-nats-url upward, the selected context of the nats program, and at
// nats://127.0.0.1:4222.
type ConnectOptions struct {
	// Servers are addresses, as "nats://host:4222" or "tls://host".
	Servers []string
	// Context is a context of the nats program, by name.
	Context string
	// Name of this connection in the server's lists; "libchat" by default.
	Name string
	// CredsFile has user JWT and seed.
	CredsFile string
	// NkeyFile has an nkey seed.
	NkeyFile string
	// User and Password; a User alone is a token.
	User, Password string
	Token          string
	// TLSCAFile has authorities to trust instead of the system's, PEM.
	TLSCAFile string
	// TLSCertFile and TLSKeyFile are this client's certificate and its key, PEM.
	TLSCertFile, TLSKeyFile string
	// TLSRequired refuses a server that does not offer TLS.
	TLSRequired bool
	// TLSFirst begins TLS before the server speaks; the server must be set so too.
	TLSFirst bool
	// JSDomain is the JetStream domain, when the stream is behind a leaf node.
	JSDomain string
	// InboxPrefix is the first part of reply subjects; "_INBOX" by default.
	InboxPrefix string
	// BufferBytes bounds what all watches of the connection hold; 0 is 64 MiB.
	BufferBytes uint64
}

// Conn is a connection to a server, for any number of managers. It reconnects by itself.
type Conn struct {
	handle   uint64
	mu       sync.Mutex
	managers map[*Manager]struct{}
}

// Connect connects. Without a deadline in ctx it takes 5 s at most.
//
// It fails with ErrDisconnected when nobody answers in time (the text lists every place looked at),
// ErrUnauthorized when the server refuses the credentials, ErrInvalidArgument when an address or a
// file cannot be read, ErrNotFound when there is no such context.
func Connect(ctx context.Context, options ConnectOptions) (*Conn, error) {
	assert(ctx != nil, "chat.Connect: ctx is nil")
	return connect(ctx, "chat.Connect", options)
}

func connect(ctx context.Context, op string, options ConnectOptions) (*Conn, error) {
	if !capi.Compatible() {
		message := fmt.Sprintf("libchat %s does not fit this package: install the one it was built with",
			capi.Version())
		return nil, &Error{Code: ErrUnsupported, Op: op, Message: message}
	}
	servers := strings.Join(options.Servers, ",")
	if servers == "" && len(options.Servers) > 0 {
		return nil, &Error{Code: ErrInvalidArgument, Op: op, Message: "Servers: an empty address"}
	}
	given := capi.ConnOptions{
		Servers:     servers,
		Context:     options.Context,
		Name:        options.Name,
		CredsFile:   options.CredsFile,
		NkeyFile:    options.NkeyFile,
		User:        options.User,
		Password:    options.Password,
		Token:       options.Token,
		TLSCAFile:   options.TLSCAFile,
		TLSCertFile: options.TLSCertFile,
		TLSKeyFile:  options.TLSKeyFile,
		TLSRequired: options.TLSRequired,
		TLSFirst:    options.TLSFirst,
		JSDomain:    options.JSDomain,
		InboxPrefix: options.InboxPrefix,
		BufferBytes: options.BufferBytes,
		TimeoutMS:   timeoutMS(ctx, 0),
	}
	var handle uint64
	err := during(ctx, func(cancel uint64) (err *capi.Error) {
		handle, err = capi.Connect(given, cancel)
		return err
	})
	if err != nil {
		return nil, errorOf(ctx, op, err)
	}
	return &Conn{handle: handle, managers: map[*Manager]struct{}{}}, nil
}

// Close closes every manager of the connection, and then the connection. What was sent and not
// confirmed has an unknown outcome. After 2 s without an end it answers ErrTimeout, and the rest is
// done in the background. Again: nil.
func (c *Conn) Close() error {
	begun := time.Now()
	c.mu.Lock()
	managers := c.managers
	c.managers = nil
	c.mu.Unlock()
	var all sync.WaitGroup
	for manager := range managers {
		all.Go(func() { _ = manager.Close() }) // it always answers nil
	}
	all.Wait()
	left := max(closeTime-time.Since(begun), time.Millisecond)
	err := capi.CloseConn(c.handle, uint32(left.Milliseconds()))
	return errorOf(context.Background(), "chat.Conn.Close", err)
}

// A close that takes longer goes on in the background.
const closeTime = 2 * time.Second

// during calls a function that waits in C, and ends it when ctx ends.
func during(ctx context.Context, call func(cancel uint64) *capi.Error) *capi.Error {
	if ctx.Err() != nil {
		return &capi.Error{Status: capi.Cancelled, Message: "the context had ended before the call"}
	}
	if ctx.Done() == nil {
		return call(0)
	}
	cancel, err := capi.NewCancel()
	if err != nil {
		return err
	}
	defer capi.CloseCancel(cancel)
	stop := context.AfterFunc(ctx, func() { capi.FireCancel(cancel) })
	defer stop()
	return call(cancel)
}

// timeoutMS is what is left until ctx's deadline, and a second more: it is ctx that ends the call.
func timeoutMS(ctx context.Context, otherwise uint32) uint32 {
	deadline, ok := ctx.Deadline()
	if !ok {
		return otherwise
	}
	left := time.Until(deadline).Milliseconds() + 1000
	return uint32(min(max(left, 1), int64(capi.Infinite)))
}
