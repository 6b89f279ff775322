package tests

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A sender's thread: how many messages were begun, and how many of them confirmed.
type writing struct{ begun, confirmed atomic.Int64 }

func TestEveryListUnderLiveSendsIsComplete(t *testing.T) {
	duration := 5 * time.Second
	if isLong() {
		duration = 30 * time.Second
	}
	const count = 50
	m := open(t, "ana")
	writings := map[string]*writing{}
	var all sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	for i := range count {
		thread, w := fmt.Sprint("thread ", i), &writing{}
		writings[short(t, m, thread)] = w
		check(t, m.Send(t.Context(), thread, "0"))
		w.begun.Store(1)
		w.confirmed.Store(1)
		all.Go(func() {
			for ctx.Err() == nil {
				body := fmt.Sprint(w.begun.Add(1))
				if err := m.Send(t.Context(), thread, body); err != nil {
					t.Error(err)
				}
				w.confirmed.Add(1)
			}
		})
	}
	lists := 0
	for ; ctx.Err() == nil; lists++ {
		least := map[string]int64{}
		for short, w := range writings {
			least[short] = w.confirmed.Load()
		}
		threads, err := m.ListThreads(t.Context())
		check(t, err)
		same(t, len(threads), count)
		for _, thread := range threads {
			got, w := int64(thread.MessageCount()), writings[thread.ThreadShort()]
			if got < least[thread.ThreadShort()] || got > w.begun.Load() {
				t.Fatalf("%d messages of at least %d", got, least[thread.ThreadShort()])
			}
		}
	}
	all.Wait()
	if t.Logf("%d lists", lists); lists < 5 {
		t.Errorf("%d lists", lists)
	}
}
