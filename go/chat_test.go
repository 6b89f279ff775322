package chat_test

import (
	"fmt"
	"testing"
	"time"

	"libchat.example/chat"
)

func TestWhatIsSentIsTold(t *testing.T) {
	ana, ben := open(t, "ana"), open(t, "ben")
	ctx := within(t, 20*time.Second)
	plan := ben.Watch(ctx, "plan")
	messages := ben.Messages(ctx, "plan")
	for i := range 1000 {
		if err := ana.Send(ctx, "plan", fmt.Sprint("hello ", i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1000 {
		if envelope := <-plan; envelope.Body != fmt.Sprint("hello ", i) || envelope.From != "ana" {
			t.Fatalf("%+v", envelope)
		}
	}
	n := 0
	for message, err := range messages {
		if err != nil {
			t.Fatal(err)
		}
		if message.Body != fmt.Sprint("hello ", n) {
			t.Fatalf("%+v", message)
		}
		if n++; n == 1000 {
			break
		}
	}
	threads, err := ana.ListThreads(ctx)
	if err != nil || len(threads) != 1 || threads[0].MessageCount() != 1000 {
		t.Fatal(threads, err)
	}
	_ = chat.ErrClosed
}

func BenchmarkSend(b *testing.B) {
	ana := open(b, "ana")
	b.ReportAllocs()
	for b.Loop() {
		if err := ana.Send(b.Context(), "plan", "hello"); err != nil {
			b.Fatal(err)
		}
	}
}
