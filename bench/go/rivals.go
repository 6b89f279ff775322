package main

import "context"

// rival is libchat or nats.go, in one project, doing the same work.
type rival interface {
	// send returns when the message is stored.
	send(ctx context.Context, thread string)
	// pour stores so many messages in one thread, as fast as it goes.
	pour(ctx context.Context, messages int)
	// read reads so many messages of all threads, from the oldest on.
	read(ctx context.Context, messages int)
	// watch returns when it is set up; from then on told is called with each message's body.
	watch(ctx context.Context, thread string, told func(body string))
	// list answers how many threads there are, with the last message and the count of each.
	list(ctx context.Context) int
	close()
}
