package chat_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"libchat.example/chat"
)

func TestAReceiptNamesThePlaceOfTheMessage(t *testing.T) {
	ana, ctx := open(t, "ana"), within(t, 20*time.Second)
	receipt, err := ana.SendMessage(ctx, chat.Outgoing{
		Thread:  "plan",
		Body:    "prices first",
		ID:      "job-7",
		ReplyTo: "job-6",
		Headers: chat.Headers{"lang": {"en"}, "empty": {""}},
	})
	check(t, err)
	page, err := ana.History(ctx, "plan")
	check(t, err)
	got := page.Messages[0]
	same(t, got.Cursor.Seq(), receipt.Cursor.Seq())
	same(t, receipt.ID, "job-7")
	same(t, []string{got.ID, got.Sender, got.Thread, got.Body, got.ReplyTo},
		[]string{"job-7", "ana", "plan", "prices first", "job-6"})
	same(t, []string{got.Headers.Get("lang"), got.Headers.Get("empty"), got.Headers.Get("none")},
		[]string{"en", "", ""})
	short, err := chat.ThreadShort(ana.Project(), "plan")
	check(t, err)
	same(t, got.Short, short)
	if age := time.Since(got.Time); age < -time.Minute || age > time.Minute {
		t.Errorf("stored %v ago", age)
	}
}

func TestTheSameIDIsStoredOnce(t *testing.T) {
	ana, ctx := open(t, "ana"), within(t, 20*time.Second)
	message := chat.Outgoing{Thread: "plan", Body: "prices first", ID: "job-7"}
	first, err := ana.SendMessage(ctx, message)
	check(t, err)
	second, err := ana.SendMessage(ctx, message)
	check(t, err)
	same(t, []bool{first.Duplicate, second.Duplicate}, []bool{false, true})
	same(t, second.Cursor.Seq(), first.Cursor.Seq())
	stats, err := ana.Stats()
	check(t, err)
	same(t, stats.Duplicates, 1)
}

func TestAConditionalSendConflictsOnceTheThreadHasMoved(t *testing.T) {
	ana, ctx := open(t, "ana"), within(t, 20*time.Second)
	send := func(expect chat.Cursor) (chat.Receipt, error) {
		return ana.SendMessage(ctx, chat.Outgoing{Thread: "plan", Body: "x", ExpectLast: &expect})
	}
	first, err := send(chat.Cursor{})
	check(t, err)
	_, err = send(chat.Cursor{})
	if !errors.Is(err, chat.ErrConflict) {
		t.Fatal(err)
	}
	_, err = send(first.Cursor)
	check(t, err)
}

func TestManySendsUnderWayAreStoredInTheOrderOfTheCalls(t *testing.T) {
	ana, ctx := open(t, "ana"), within(t, time.Minute)
	const count = 3000 // more than may be under way
	var under []*chat.Sending
	for i := range count {
		s, err := ana.SendAsync(ctx, chat.Outgoing{Thread: "plan", Body: fmt.Sprint(i)})
		check(t, err)
		under = append(under, s)
	}
	last := uint64(0)
	for i, s := range under {
		receipt, err := s.Wait(ctx)
		check(t, err)
		if seq := receipt.Cursor.Seq(); seq <= last {
			t.Fatalf("number %d: seq %d after %d", i, seq, last)
		} else {
			last = seq
		}
	}
}

func TestGoroutinesSendBesideEachOther(t *testing.T) {
	ana, ctx := open(t, "ana"), within(t, time.Minute)
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for range 50 {
				if err := ana.Send(ctx, fmt.Sprint("thread ", i), "x"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	threads, err := ana.ListThreads(ctx)
	check(t, err)
	for _, thread := range threads {
		same(t, thread.MessageCount(), 50)
	}
	same(t, len(threads), 64)
}

func TestBadInputIsRefusedAndNothingIsStored(t *testing.T) {
	ana, ctx := open(t, "ana"), within(t, 20*time.Second)
	for _, c := range []struct {
		message chat.Outgoing
		text    string
	}{
		{chat.Outgoing{Thread: "", Body: "x"}, "thread"},
		{chat.Outgoing{Thread: "pl\x00an", Body: "x"}, "NUL"},
		{chat.Outgoing{Thread: "pl\xffan", Body: "x"}, "UTF-8"},
		{chat.Outgoing{Thread: "plan", Body: "x\xff"}, "UTF-8"},
		{chat.Outgoing{Thread: "plan", Body: "x", ID: "a\x00b"}, "NUL"},
		{chat.Outgoing{Thread: "plan", Body: "x", ID: strings.Repeat("x", 65)}, "id"},
		{chat.Outgoing{Thread: "plan", Body: "x", Headers: chat.Headers{"Nats-X": {"y"}}}, "Nats-X"},
		{chat.Outgoing{Thread: "plan", Body: "x", Headers: chat.Headers{"a": {"y\r\nz"}}}, "header"},
		{chat.Outgoing{Thread: "plan", Body: "x", Headers: chat.Headers{"a": {"y\x00"}}}, "NUL"},
		{chat.Outgoing{Thread: "no short", Body: "x", ByShort: true}, "short"},
	} {
		_, err := ana.SendMessage(ctx, c.message)
		if !errors.Is(err, chat.ErrInvalidArgument) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%+v: %v", c.message, err)
		}
	}
	_, err := ana.SendMessage(ctx, chat.Outgoing{Thread: "plan", Body: strings.Repeat("x", 2<<20)})
	if !errors.Is(err, chat.ErrTooLarge) {
		t.Error(err)
	}
	threads, err := ana.ListThreads(ctx)
	check(t, err)
	same(t, len(threads), 0)
}

func TestASendToAFrozenServerEndsWithItsContextAndSaysThatItIsUnknown(t *testing.T) {
	server := startServer(t)
	ana := server.open(t, "ana")
	check(t, ana.Send(t.Context(), "plan", "before"))
	server.Freeze(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	receipt, err := ana.SendMessage(ctx, chat.Outgoing{Thread: "plan", Body: "x"})
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	var failure *chat.Error
	if !errors.As(err, &failure) || failure.Code != chat.ErrOutcomeUnknown ||
		!errors.Is(err, context.DeadlineExceeded) || failure.ID != receipt.ID || receipt.ID == "" {
		t.Fatalf("%v, receipt %+v", err, receipt)
	}
	server.Thaw(t)
	_, err = ana.SendMessage(t.Context(), chat.Outgoing{Thread: "plan", Body: "x", ID: receipt.ID})
	check(t, err)
	page, err := ana.History(t.Context(), "plan")
	check(t, err)
	same(t, len(page.Messages), 2)
}

func TestACancelledContextEndsSendsThatNobodyWaitsFor(t *testing.T) {
	server := startServer(t)
	ana := server.open(t, "ana")
	server.Freeze(t)
	ctx, cancel := context.WithCancel(t.Context())
	var under []*chat.Sending
	for range 100 {
		s, err := ana.SendAsync(ctx, chat.Outgoing{Thread: "plan", Body: "x"})
		check(t, err)
		under = append(under, s)
	}
	waiting, stopWaiting := context.WithCancel(t.Context())
	stopWaiting()
	if _, err := under[0].Wait(waiting); err != context.Canceled {
		t.Error(err)
	}
	cancel()
	for _, s := range under {
		_, err := s.Wait(within(t, 20*time.Second))
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if !errors.Is(err, chat.ErrCancelled) && !errors.Is(err, chat.ErrOutcomeUnknown) {
			t.Error(err)
		}
	}
	server.Thaw(t)
	// Their tokens serve no other send.
	for range 200 {
		check(t, ana.Send(within(t, 20*time.Second), "review", "x"))
	}
}

func TestACloseEndsWhatIsUnderWay(t *testing.T) {
	server := startServer(t)
	ana := server.open(t, "ana")
	server.Freeze(t)
	s, err := ana.SendAsync(t.Context(), chat.Outgoing{Thread: "plan", Body: "x"})
	check(t, err)
	begin := time.Now()
	check(t, ana.Close())
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
	if _, err := s.Wait(within(t, 20*time.Second)); err == nil {
		t.Error("stored on a frozen server")
	}
	if _, err := ana.SendMessage(t.Context(), chat.Outgoing{Thread: "plan"}); err != chat.ErrClosed {
		t.Error(err)
	}
}
