package tests

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"libchat.example/chat"
)

// subject is one that no other test uses.
func subject(t testing.TB) string { return "tests." + project(t) }

// silent listens on the test's subject and never answers; it tells when it was asked.
func silent(t testing.TB, nc *nats.Conn) <-chan struct{} {
	t.Helper()
	asked := make(chan struct{}, 16)
	_, err := nc.Subscribe(subject(t), func(*nats.Msg) { asked <- struct{}{} })
	check(t, err)
	check(t, nc.Flush())
	return asked
}

func TestAFailedRequestHasTheTextOfTheOriginalAndMatchesItsErrors(t *testing.T) {
	m, nc := open(t, "ana"), connect(t)
	asked := silent(t, nc)
	cancelled, cancel := context.WithCancel(t.Context())
	defer cancel()
	short, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	for _, c := range []struct {
		ctx     context.Context
		subject string
		payload []byte
		text    string
		are     []error
	}{
		{t.Context(), "tests.nobody", nil, "nats: no responders available for request",
			[]error{nats.ErrNoResponders, chat.ErrNoResponders}},
		{short, subject(t), nil, "context deadline exceeded",
			[]error{context.DeadlineExceeded, chat.ErrTimeout}},
		{cancelled, subject(t), nil, "context canceled",
			[]error{context.Canceled, chat.ErrCancelled}},
		{t.Context(), subject(t), make([]byte, 2<<20), "nats: maximum payload exceeded",
			[]error{nats.ErrMaxPayload, chat.ErrTooLarge}},
	} {
		if c.ctx == cancelled {
			<-asked // by the one before
			go func() {
				<-asked
				cancel()
			}()
		}
		begin := time.Now()
		_, err := m.Request(c.ctx, c.subject, c.payload)
		if took := time.Since(begin); took > 4*time.Second {
			t.Errorf("%s: took %v", c.text, took)
		}
		if err == nil || err.Error() != "chat.Request: "+c.text {
			t.Errorf("got %v, want %s", err, c.text)
		}
		for _, is := range c.are {
			if !errors.Is(err, is) {
				t.Errorf("%v is not %v", err, is)
			}
		}
	}
}

func TestARequestWithoutADeadlineWaitsHoweverLongItTakes(t *testing.T) {
	t.Parallel()
	m, nc := open(t, "ana"), connect(t)
	delay := 6 * time.Second // more than other calls take without a deadline
	if isLong() {
		delay = 31 * time.Second
	}
	_, err := nc.Subscribe(subject(t), func(request *nats.Msg) {
		time.AfterFunc(delay, func() { same(t, request.Respond([]byte("at last")), nil) })
	})
	check(t, err)
	check(t, nc.Flush())
	reply, err := m.Request(context.Background(), subject(t), nil)
	check(t, err)
	same(t, string(reply), "at last")
}

func TestARequestCarriesAnyBytesAndNone(t *testing.T) {
	m := open(t, "ana")
	_, err := m.Respond(subject(t), echo)
	check(t, err)
	for _, payload := range []string{"", "x", "\x00\xff", strings.Repeat("x", 1<<19)} {
		reply, err := m.Request(t.Context(), subject(t), []byte(payload))
		check(t, err)
		same(t, string(reply), payload)
	}
	reply, err := m.Request(t.Context(), subject(t), nil)
	check(t, err)
	same(t, len(reply), 0)
}

func TestAResponderAnswersOneAfterTheOther(t *testing.T) {
	m, nc := open(t, "ana"), connect(t)
	var running, most, count atomic.Int32
	_, err := m.Respond(subject(t), func(payload []byte) ([]byte, error) {
		most.Store(max(most.Load(), running.Add(1)))
		count.Add(1)
		_ = nc.Flush() // a round trip, in which another could begin
		running.Add(-1)
		return payload, nil
	})
	check(t, err)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := nc.Request(subject(t), nil, 20*time.Second); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	same(t, []int32{most.Load(), count.Load()}, []int32{1, 50})
}

func TestAFailedHandlerIsSilentToAPlainRequesterAndAnswersTheNext(t *testing.T) {
	m, nc := open(t, "ana"), connect(t)
	handled := make(chan string, 8)
	_, err := m.Respond(subject(t), func(payload []byte) ([]byte, error) {
		handled <- string(payload)
		switch string(payload) {
		case "fail":
			return []byte("not to be sent"), errors.New("no")
		case "too large":
			return make([]byte, 2<<20), nil
		}
		return payload, nil
	})
	check(t, err)
	replies, err := nc.SubscribeSync(nc.NewInbox())
	check(t, err)
	check(t, nc.Publish(subject(t), []byte("asks for no reply")))
	for _, payload := range []string{"fail", "too large", "again"} {
		check(t, nc.PublishRequest(subject(t), replies.Subject, []byte(payload)))
	}
	reply, err := replies.NextMsg(20 * time.Second)
	check(t, err)
	same(t, string(reply.Data), "again")
	for _, payload := range []string{"asks for no reply", "fail", "too large", "again"} {
		select {
		case got := <-handled:
			same(t, got, payload)
		default:
			t.Errorf("%q was not handled", payload)
		}
	}
}

func TestEveryResponderIsAskedAndTheFirstAnswerWins(t *testing.T) {
	ana, ben, cleo := open(t, "ana"), open(t, "ben"), open(t, "cleo")
	free, asked := make(chan struct{}), make(chan struct{}, 1)
	_, err := ana.Respond(subject(t), func([]byte) ([]byte, error) {
		asked <- struct{}{}
		<-free
		return []byte("ana"), nil
	})
	check(t, err)
	_, err = ben.Respond(subject(t), func([]byte) ([]byte, error) { return []byte("ben"), nil })
	check(t, err)
	reply, err := cleo.Request(t.Context(), subject(t), nil)
	check(t, err)
	same(t, string(reply), "ben")
	<-asked
	close(free)
}

func TestAResponderEndsWhenToldSoAnyNumberOfTimes(t *testing.T) {
	m, nc := open(t, "ana"), connect(t)
	for range 20 {
		unsubscribe, err := m.Respond(subject(t), echo)
		check(t, err)
		_, err = nc.Request(subject(t), nil, 20*time.Second)
		check(t, err)
		check(t, unsubscribe())
		check(t, unsubscribe())
		// On the connection of the responder, as in the original; then anybody knows.
		if _, err := m.Request(t.Context(), subject(t), nil); !errors.Is(err, nats.ErrNoResponders) {
			t.Fatal(err)
		}
		if _, err := nc.Request(subject(t), nil, 20*time.Second); err != nats.ErrNoResponders {
			t.Fatal(err)
		}
	}
	unsubscribe, err := m.Respond(subject(t), echo)
	check(t, err)
	check(t, m.Close())
	check(t, unsubscribe())
}

func TestAResponderOnASubjectThatIsNoneIsAnError(t *testing.T) {
	m := open(t, "ana")
	for _, wrong := range []string{"a b", "a..b", "a\x00b"} {
		unsubscribe, err := m.Respond(wrong, echo)
		if unsubscribe != nil || !errors.Is(err, chat.ErrInvalidArgument) ||
			!strings.HasPrefix(err.Error(), "chat.Respond: ") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// panicServer names what tells the process that is to panic where the server is.
const panicServer = "LIBCHAT_TEST_PANIC"

func TestAPanicInAHandlerEndsTheProcess(t *testing.T) {
	if os.Getenv(panicServer) != "" {
		m := open(t, "ana")
		_, err := m.Respond(subject(t), func([]byte) ([]byte, error) { panic("by the handler") })
		check(t, err)
		m.Request(t.Context(), subject(t), nil)
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), panicServer+"="+serverURL)
	output, err := child.CombinedOutput()
	if err == nil || !strings.Contains(string(output), "panic: by the handler") {
		t.Errorf("%v: %s", err, output)
	}
}
