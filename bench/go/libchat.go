package main

import (
	"context"

	"libchat.example/chat"
)

// libchat is a rival.
type libchat struct {
	conn    *chat.Conn
	manager *chat.Manager
}

func openLibchat(ctx context.Context, url, project string) *libchat {
	conn, err := chat.Connect(ctx, chat.ConnectOptions{Servers: []string{url}})
	must(err)
	manager, err := conn.Open(ctx, project, "bench", chat.OpenOptions{})
	must(err)
	return &libchat{conn, manager}
}

func (l *libchat) send(ctx context.Context, thread string) {
	must(l.manager.Send(ctx, thread, body))
}

func (l *libchat) pour(ctx context.Context, messages int) {
	l.sendAsync(ctx, messages, 1, true)
}

// sendAsync sends to so many threads by turns, with as many in flight as may be.
func (l *libchat) sendAsync(ctx context.Context, messages, threads int, unordered bool) {
	names := threadNames(threads)
	sendings := make([]*chat.Sending, messages)
	for i := range sendings {
		message := chat.Outgoing{Thread: names[i%threads], Body: body, Unordered: unordered}
		sending, err := l.manager.SendAsync(ctx, message)
		must(err)
		sendings[i] = sending
	}
	for _, sending := range sendings {
		_, err := sending.Wait(ctx)
		must(err)
	}
}

func (l *libchat) read(ctx context.Context, messages int) {
	for message, err := range l.manager.MessagesAll(ctx, chat.StartAll()) {
		must(err)
		check(message.Sender, message.Body)
		if messages--; messages == 0 {
			return
		}
	}
}

// history reads all of so many threads, page by page.
func (l *libchat) history(ctx context.Context, threads int) {
	for _, thread := range threadNames(threads) {
		from, isMore := chat.StartAll(), true
		for isMore {
			page, err := l.manager.History(ctx, thread, from)
			must(err)
			for i := range page.Messages {
				check(page.Messages[i].Sender, page.Messages[i].Body)
			}
			from, isMore = chat.StartAfter(page.Next), page.Truncated
		}
	}
}

func (l *libchat) watch(ctx context.Context, thread string, told func(body string)) {
	envelopes := l.manager.Watch(ctx, thread)
	go func() {
		for envelope := range envelopes {
			told(envelope.Body)
		}
	}()
}

func (l *libchat) list(ctx context.Context) int {
	threads, err := l.manager.ListThreads(ctx)
	must(err)
	return len(threads)
}

func (l *libchat) close() {
	must(l.manager.Close())
	must(l.conn.Close())
}
