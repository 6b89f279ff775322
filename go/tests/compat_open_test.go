package tests

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"libchat.example/chat"
)

func TestTheFirstFieldThatBreaksItsRuleIsTold(t *testing.T) {
	cfg := chat.Config{MaxRetentionAge: -1, MaxSubscribers: 0}
	for _, c := range []struct {
		text string
		mend func()
	}{
		{"AgentID: must be non-empty", func() { cfg.AgentID = "ana" }},
		{"ProjectPrefix: must be non-empty", func() { cfg.ProjectPrefix = project(t) }},
		{"Nats: must be non-nil", func() { cfg.Nats = (*nats.Conn)(nil) }},
		{"Nats: must be non-nil", func() { cfg.Nats = connect(t) }},
		{"MaxRetentionAge: must be >= 0 (0 = unbounded)", func() { cfg.MaxRetentionAge = 0 }},
		{"MaxSubscribers: must be > 0", func() { cfg.MaxSubscribers = -1 }},
		{"MaxSubscribers: must be > 0", func() { cfg.MaxSubscribers = 1 }},
	} {
		want := "chat.Config: " + c.text
		if err := cfg.Validate(); err == nil || err.Error() != want {
			t.Errorf("Validate: got %v, want %s", err, want)
		}
		m, err := chat.Open(t.Context(), cfg)
		if m != nil || err == nil || err.Error() != "chat.Open: "+want {
			t.Errorf("Open: got %v, want %s", err, want)
		}
		c.mend()
	}
	check(t, cfg.Validate())
	openWith(t, cfg)
}

func TestAPrefixThatTheServerWouldRefuseIsRefusedInTheWordsOfTheOriginal(t *testing.T) {
	const api = "nats: API error: code=500 err_code=10052 description="
	long := strings.Repeat("x", 251)
	for _, c := range []struct {
		prefix    string
		retention time.Duration
		text      string
		is        error
	}{
		{"a.b", 0, `nats: invalid stream name: "chat-a.b"`, jetstream.ErrInvalidStreamName},
		{"a b", 0, `nats: invalid stream name: "chat-a b"`, jetstream.ErrInvalidStreamName},
		{"*", 0, `nats: invalid stream name: "chat-*"`, jetstream.ErrInvalidStreamName},
		{">", 0, `nats: invalid stream name: "chat->"`, jetstream.ErrInvalidStreamName},
		{"a/b", 0, `nats: invalid stream name: "chat-a/b"`, jetstream.ErrInvalidStreamName},
		{`a\b`, 0, `nats: invalid stream name: "chat-a\\b"`, jetstream.ErrInvalidStreamName},
		{"a\tb", 0, `nats: invalid stream name: "chat-a\tb"`, jetstream.ErrInvalidStreamName},
		{"a\nb", 0, `nats: invalid stream name: "chat-a\nb"`, jetstream.ErrInvalidStreamName},
		{long, 0, api + "stream name is too long, maximum allowed is 255", chat.ErrInvalidArgument},
		{"short", 1, api + "max age needs to be >= 100ms", chat.ErrInvalidArgument},
		{"short", 99 * time.Millisecond, api + "max age needs to be >= 100ms",
			chat.ErrInvalidArgument},
	} {
		cfg := config(t, "ana")
		cfg.ProjectPrefix, cfg.MaxRetentionAge = c.prefix, c.retention
		_, err := chat.Open(t.Context(), cfg)
		want := fmt.Sprintf("chat.Open: stream %q: %s", "chat-"+c.prefix, c.text)
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		if !errors.Is(err, c.is) {
			t.Errorf("%v is not %v", err, c.is)
		}
	}
}

func TestALongOrForeignPrefixIsAcceptedAsByTheOriginal(t *testing.T) {
	for _, prefix := range []string{strings.Repeat("x", 250), "größe-😀", "a$b", "a:b"} {
		cfg := config(t, "ana")
		cfg.ProjectPrefix, cfg.MaxRetentionAge = prefix, 100*time.Millisecond
		m := openWith(t, cfg)
		check(t, m.Send(t.Context(), "plan", "x"))
		same(t, stream(t, connect(t), prefix).Config.MaxAge, 100*time.Millisecond)
	}
}

// A difference from the original: names that would make other subjects than it seems.
func TestAPrefixThatIsNoWordIsRefused(t *testing.T) {
	for _, prefix := range []string{"$a", "a\x00b", "a\x01b", "a\xffb"} {
		cfg := config(t, "ana")
		cfg.ProjectPrefix = prefix
		if _, err := chat.Open(t.Context(), cfg); !errors.Is(err, chat.ErrInvalidArgument) {
			t.Errorf("%q: %v", prefix, err)
		}
	}
}

func TestEveryOpenSetsTheRetention(t *testing.T) {
	nc := connect(t)
	for i, age := range []time.Duration{time.Hour, 0, 2 * time.Hour, 30 * time.Second, 0} {
		cfg := config(t, "ana")
		cfg.MaxRetentionAge = age
		m := openWith(t, cfg)
		check(t, m.Send(t.Context(), "plan", "x"))
		info := stream(t, nc, m.Project())
		same(t, info.Config.MaxAge, age)
		same(t, info.State.Msgs, uint64(i+1))
	}
}

// A difference from the original, which resets every field that it does not set.
func TestAnOpenKeepsWhatAnOperatorTuned(t *testing.T) {
	nc, prefix := connect(t), open(t, "ana").Project()
	js, err := jetstream.New(nc)
	check(t, err)
	tuned := stream(t, nc, prefix).Config
	tuned.MaxMsgs, tuned.MaxBytes, tuned.Duplicates = 1000, 1<<20, time.Minute
	_, err = js.UpdateStream(t.Context(), tuned)
	check(t, err)
	cfg := config(t, "ben")
	cfg.MaxRetentionAge = time.Hour
	openWith(t, cfg)
	tuned.MaxAge = time.Hour
	same(t, stream(t, nc, prefix).Config, tuned)
}

func TestADoneContextIsInTheTextOfOpen(t *testing.T) {
	for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
		_, err := chat.Open(ended(t, cause), config(t, "ana"))
		want := fmt.Sprintf("chat.Open: stream %q: %v", "chat-"+project(t), cause)
		if !errors.Is(err, cause) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestALiveConnectionOfNatsGoSaysWhereToDial(t *testing.T) {
	cfg := config(t, "ana")
	nc := connect(t)
	cfg.Nats, cfg.URL = nc, ""
	m := openWith(t, cfg)
	check(t, m.Send(t.Context(), "plan", "x"))
	same(t, stream(t, nc, m.Project()).State.Msgs, 1)
	check(t, m.Close())
	same(t, nc.IsConnected(), true)
	same(t, stream(t, nc, m.Project()).State.Msgs, 1)
}

func TestWhileAConnectionIsDownItsServersAreTried(t *testing.T) {
	url := startPlainServer(t)
	dialer := &onceDialer{}
	// It is dialled anew at once, but for the address that answers.
	nc := connectTo(t, "nats://127.0.0.1:1,"+url, nats.SetCustomDialer(dialer),
		nats.MaxReconnects(-1), nats.DontRandomize())
	check(t, nc.ForceReconnect())
	for nc.Status() != nats.RECONNECTING || nc.ConnectedUrl() != "" {
		check(t, within(t, 20*time.Second).Err())
	}
	cfg := config(t, "ana")
	cfg.Nats, cfg.URL = nc, ""
	m := openWith(t, cfg)
	check(t, m.Send(t.Context(), "plan", "x"))
	same(t, nc.Status(), nats.RECONNECTING)
}

// A difference from the original: libchat dials by itself, and a password that is not in the
// address does not travel.
func TestAPasswordBesideTheAddressDoesNotTravel(t *testing.T) {
	user, address := splitUser(t, serverURL)
	cfg := config(t, "ana")
	cfg.Nats, cfg.URL = connectTo(t, address, user), ""
	_, err := chat.Open(t.Context(), cfg)
	if !errors.Is(err, chat.ErrUnauthorized) || !errors.Is(err, nats.ErrAuthorization) {
		t.Error(err)
	}
}
