package chat_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"libchat.example/chat"
)

func upper(_ context.Context, request chat.Request) ([]byte, error) {
	return []byte(strings.ToUpper(string(request.Payload))), nil
}

func TestAnAskIsAnswered(t *testing.T) {
	ana, ben, ctx := open(t, "ana"), open(t, "ben"), within(t, 20*time.Second)
	if _, err := ana.Ask(ctx, "ben", nil); !errors.Is(err, chat.ErrNoResponders) {
		t.Fatal(err)
	}
	responder, err := ben.Answer(ctx, upper)
	check(t, err)
	reply, err := ana.Ask(ctx, "ben", []byte("ready?\x00"))
	check(t, err)
	same(t, string(reply), "READY?\x00")
	reply, err = ana.Request(ctx, ana.Project()+".ask.ben", nil)
	check(t, err)
	same(t, len(reply), 0)
	check(t, responder.Close())
	check(t, responder.Close())
	<-responder.Done()
	for { // what is asked before the server knows of the end is told that nobody answers
		_, err := ana.Ask(ctx, "ben", nil)
		var failure *chat.Error
		if errors.Is(err, chat.ErrNoResponders) {
			break
		}
		if !errors.As(err, &failure) || failure.RemoteCode != "unanswered" {
			t.Fatal(err)
		}
	}
}

func TestAFailedHandlerIsRemoteWithItsCode(t *testing.T) {
	ana, ben, ctx := open(t, "ana"), open(t, "ben"), within(t, 20*time.Second)
	answers := map[string]error{
		"code":  &chat.Error{RemoteCode: "out_of_stock", Message: "no pears"},
		"plain": errors.New("a secret"),
		"wrap":  fmt.Errorf("handler: %w", &chat.Error{RemoteCode: "busy", Message: "later"}),
	}
	_, err := ben.Answer(ctx, func(_ context.Context, request chat.Request) ([]byte, error) {
		if string(request.Payload) == "exit" {
			runtime.Goexit()
		}
		return nil, answers[string(request.Payload)]
	})
	check(t, err)
	for payload, want := range map[string]string{
		"code": "out_of_stock", "plain": "handler_failed", "wrap": "busy", "exit": "unanswered",
	} {
		_, err := ana.Ask(ctx, "ben", []byte(payload))
		var failure *chat.Error
		if !errors.As(err, &failure) || failure.Code != chat.ErrRemote || failure.RemoteCode != want ||
			strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", payload, err)
		}
	}
}

func TestHandlersRunOneAtATimeUnlessMoreAreAskedFor(t *testing.T) {
	ana, ctx := open(t, "ana"), within(t, time.Minute)
	for _, c := range []struct {
		subject string
		options []chat.AnswerOption
		most    int32
	}{
		{"serial", nil, 1},
		{"four", []chat.AnswerOption{chat.Concurrency(4)}, 4},
	} {
		var now, most atomic.Int32
		full := make(chan struct{})
		subject := project(t) + "." + c.subject
		_, err := ana.Answer(ctx, func(context.Context, chat.Request) ([]byte, error) {
			if running := now.Add(1); running > most.Load() {
				if most.Store(running); running == c.most {
					close(full)
				}
			}
			<-full // as many as may are here
			now.Add(-1)
			return nil, nil
		}, append(c.options, chat.OnSubject(subject))...)
		check(t, err)
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				if _, err := ana.Request(ctx, subject, nil); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		same(t, most.Load(), c.most)
	}
}

func TestAHandlersContextEndsWhenItIsTooLateForAnAnswer(t *testing.T) {
	ana, ctx := open(t, "ana"), within(t, 20*time.Second)
	_, err := ana.Answer(ctx, func(ctx context.Context, _ chat.Request) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}, chat.AnswerTimeout(50*time.Millisecond))
	check(t, err)
	_, err = ana.Ask(ctx, "ana", nil)
	var failure *chat.Error
	if !errors.As(err, &failure) || failure.Code != chat.ErrRemote {
		t.Error(err)
	}
}

func TestACloseEndsHandlersContexts(t *testing.T) {
	ana, ben, ctx := open(t, "ana"), open(t, "ben"), within(t, 20*time.Second)
	began, ended := make(chan struct{}), make(chan struct{})
	responder, err := ben.Answer(ctx, func(ctx context.Context, _ chat.Request) ([]byte, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	})
	check(t, err)
	asked := make(chan error)
	go func() {
		_, err := ana.Ask(ctx, "ben", nil)
		asked <- err
	}()
	<-began
	check(t, ben.Close())
	<-ended
	<-responder.Done()
	if err := <-asked; !errors.Is(err, chat.ErrRemote) {
		t.Error(err)
	}
}

func TestAManagerCanBeClosedByItsOwnHandler(t *testing.T) {
	ana, ben, ctx := open(t, "ana"), open(t, "ben"), within(t, 20*time.Second)
	_, err := ben.Answer(ctx, func(context.Context, chat.Request) ([]byte, error) {
		return nil, ben.Close()
	})
	check(t, err)
	if _, err := ana.Ask(ctx, "ben", nil); !errors.Is(err, chat.ErrRemote) {
		t.Error(err)
	}
}

func TestAnAskEndsWithItsContext(t *testing.T) {
	ana := open(t, "ana")
	began := make(chan struct{})
	_, err := ana.Answer(t.Context(), func(ctx context.Context, _ chat.Request) ([]byte, error) {
		close(began)
		<-ctx.Done()
		return nil, nil
	})
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-began
		cancel()
	}()
	begin := time.Now()
	_, err = ana.Ask(ctx, "ana", nil)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, chat.ErrCancelled) {
		t.Error(err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}
