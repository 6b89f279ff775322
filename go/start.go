package chat

import (
	"math"
	"time"

	"libchat.example/chat/internal/capi"
)

// WatchOption says how to watch: a [Start], or [SkipOwn], [ByShort], [Queue].
type WatchOption interface{ watch(*capi.WatchOptions) }

// HistoryOption says what of the past to read: a [Start], or [Before], [ByShort], [Limit],
// [MaxBytes].
type HistoryOption interface{ history(*capi.HistoryOptions) }

// Start says where a watch or a history begins.
type Start struct{ from capi.Start }

func (s Start) watch(options *capi.WatchOptions)     { options.Start = s.from }
func (s Start) history(options *capi.HistoryOptions) { options.Start = s.from }

// StartNew begins with what is stored after the call: the default of a watch.
func StartNew() Start { return Start{} }

// StartAll begins with the oldest message stored: the default of a history.
func StartAll() Start { return Start{capi.Start{Kind: capi.StartAll}} }

// StartAfter begins behind a place. One that is not of today's stream gives [Reset] and then
// everything in a watch, ErrConflict in a history.
func StartAfter(cursor Cursor) Start {
	return Start{capi.Start{Kind: capi.StartAfter, Cursor: cursor.place}}
}

// StartTime begins with the first message stored at that time or later, by the server's clock.
func StartTime(t time.Time) Start {
	ns := t.UnixNano()
	switch { // what an int64 does not hold
	case t.Before(time.Unix(0, math.MinInt64)):
		ns = math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		ns = math.MaxInt64
	}
	return Start{capi.Start{Kind: capi.StartTime, TimeNS: ns}}
}

// StartLast begins with the last n messages.
func StartLast(n uint64) Start { return Start{capi.Start{Kind: capi.StartLast, Limit: n}} }

type watchOption func(*capi.WatchOptions)

func (o watchOption) watch(options *capi.WatchOptions) { o(options) }

type historyOption func(*capi.HistoryOptions)

func (o historyOption) history(options *capi.HistoryOptions) { o(options) }

// SkipOwn leaves out what this agent wrote itself.
func SkipOwn() WatchOption {
	return watchOption(func(options *capi.WatchOptions) { options.SkipOwn = true })
}

// Queue bounds what is held for a slow reader; 0 is 256 events, or 8 MiB. What has no room is read
// from the stream later.
func Queue(events uint32, bytes uint64) WatchOption {
	return watchOption(func(options *capi.WatchOptions) {
		options.Queue, options.QueueBytes = events, bytes
	})
}

// ByShort says that the thread is given by its 8 hex digits, not by its name.
func ByShort() interface {
	WatchOption
	HistoryOption
} {
	return byShort{}
}

type byShort struct{}

func (byShort) watch(options *capi.WatchOptions)     { options.ByShort = true }
func (byShort) history(options *capi.HistoryOptions) { options.ByShort = true }
