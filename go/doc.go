// Package chat lets agents talk in named threads, durably, over NATS JetStream: coding agents,
// bots, services, people at a shell, in one process or on many machines. What is sent is stored
// before Send returns, and who was away reads on where it stopped and misses nothing; what cannot
// be delivered any more is told, never passed over in silence. It is the Go face of libchat, a C
// library that also serves Rust, C, C++ and Python, and it shares its messages with the package
// internal/chat of bones, which it can replace.
//
// # A first program
//
// An agent opens a project and is then a [Manager]; the project is a stream on the server, and
// everything in it belongs to a thread, which is there once somebody writes in it. With a server
// running (`libchat up` starts one for a folder) this program sends and follows:
//
//	conn, err := chat.Connect(ctx, chat.ConnectOptions{}) // finds the server
//	if err != nil {
//		return err
//	}
//	defer conn.Close()
//	ana, err := conn.Open(ctx, "shop", "ana", chat.OpenOptions{})
//	if err != nil {
//		return err
//	}
//	ben, err := conn.Open(ctx, "shop", "ben", chat.OpenOptions{})
//	if err != nil {
//		return err
//	}
//
//	plan := ben.Messages(ctx, "plan") // what is stored from now on
//	if err := ana.Send(ctx, "plan", "Shall we ship on Friday?"); err != nil {
//		return err
//	}
//	for message, err := range plan {
//		if err != nil {
//			return err
//		}
//		fmt.Printf("%s says: %s\n", message.Sender, message.Body)
//		break
//	}
//	return nil
//
// [Connect] finds the server by itself: in LIBCHAT_URL, in NATS_URL, in what `libchat up` has
// written, and so on; [ConnectOptions] has the list, and all ways to say it. Every call that waits
// takes a context first, and ends when that ends. [Conn.Close] ends all that was opened with it.
// For tests and for work on one machine [StartLocalServer] starts a server.
//
// # In place of bones' internal/chat
//
// [Open], [Config], [Manager.Send], [Manager.Watch], [Manager.WatchAll], [Manager.WatchPattern],
// [Manager.Request], [Manager.Respond], [Manager.ListThreads], [Manager.ThreadsForAgent],
// [Manager.Close], [Envelope] and [ErrClosed] have the names, signatures, panics and error texts of
// that package. A program that uses it changes the import and nothing else:
//
//	m, err := chat.Open(ctx, chat.Config{
//		AgentID:        "ana",
//		ProjectPrefix:  "example-open",
//		Nats:           nc, // a *nats.Conn
//		MaxSubscribers: 8,
//	})
//	if err != nil {
//		return err
//	}
//	defer m.Close()
//	plan := m.Watch(ctx, "plan")
//	if err := m.Send(ctx, "plan", "prices first"); err != nil {
//		return err
//	}
//	envelope := <-plan
//	fmt.Println(envelope.From, envelope.Thread, envelope.Body)
//
// Both write the same stream, so programs with the one and the other read each other. On purpose,
// this differs:
//   - Config.Nats is an interface. libchat dials the address of that connection itself: a token, a
//     key, credentials and TLS settings do not come along. Where the server asks for those, connect
//     with [Connect] and give Config.Conn.
//   - A watch neither loses nor repeats a message, not across a restart of the server either, and
//     its consumer is deleted at the end.
//   - Close ends the watches and responders of the manager; their channels are closed.
//   - MaxSubscribers bounds the watches that are live at once. A channel of a watch too many is
//     closed at once, and the log says so.
//   - A list is complete or an error; one cut short by its deadline is an error. Which message is
//     the last of a thread, and the order of a list, go by the stream and by the server's clock. A
//     negative maxThreads gives an empty list.
//   - Of a stream that exists Open sets only how long it keeps messages; what its operator has set
//     otherwise stays.
//   - A body that is not UTF-8 is an error.
//   - Envelope.Thread is the thread of the subject that a message is stored under; what is stored
//     under a subject that is no thread's is no message.
//   - A request whose handler has failed is told so at once where both ends are libchat's.
//   - An error of Send that says "the message may be stored" is to be believed: see Sending.
//
// # Following a thread
//
// [Manager.Messages] is the messages of a thread, each once and in the order in which they are
// stored, for a range loop. It goes on for ever: leaving the loop ends the watch, and so does the
// context. It is set up when Messages is called, so what is sent after that is in it.
//
//	for message, err := range ben.Messages(ctx, "plan", chat.StartAll()) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(message.Cursor.Seq(), message.Sender, message.Body)
//		if message.Body == "end" {
//			break
//		}
//	}
//	return nil
//
// An option says where to begin: [StartNew], the default, [StartAll], [StartAfter], [StartTime],
// [StartLast]. [SkipOwn] leaves out what the agent wrote itself, and [ByShort] addresses a thread
// by its 8 hex digits. [Manager.MessagesAll] follows every thread of the project. A loop that is
// slow loses nothing and holds up no other.
//
// [Manager.Events] and [Manager.EventsAll] tell more than messages: when the past is read, what
// expired before it could be delivered, that the server is away.
//
//	for event, err := range ben.EventsAll(ctx, chat.StartAll()) {
//		if err != nil {
//			return err
//		}
//		switch event := event.(type) {
//		case chat.Message:
//			fmt.Printf("%s in %s: %s\n", event.Sender, event.Thread, event.Body)
//		case chat.CaughtUp:
//			fmt.Println("that was the past")
//			return nil
//		case chat.Gap:
//			fmt.Println("lost: what lay between", event.After, "and", event.Until)
//		case chat.Reset:
//			fmt.Println("the stream was made anew: all of it follows")
//		}
//	}
//	return nil
//
// # Going on after a pause
//
// A [Cursor] is a place in the stream, and its text is one line. Save the cursor of a message once
// it is dealt with; any process goes on behind it, hours and restarts later.
//
//	place, err := chat.ParseCursor(saved)
//	if err != nil {
//		return err
//	}
//	for message, err := range ben.Messages(ctx, "plan", chat.StartAfter(place)) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(message.Body)
//		break
//	}
//	return nil
//
// A process that is killed between dealing with a message and saving its cursor gets that message
// again. Where that matters, let what it sends have an id made from the cursor: the second copy is
// dropped. Messages passes over a [Gap] and a [Reset]; a program to which they matter uses Events.
//
// # Sending
//
// [Manager.Send] returns when the message is stored. [Manager.SendMessage] also answers a
// [Receipt], and takes an id, headers, the message that is answered, or the place where the thread
// must end ([Outgoing]).
//
//	message := chat.Outgoing{Thread: "plan", Body: "prices first"}
//	receipt, err := ana.SendMessage(ctx, message)
//	if errors.Is(err, chat.ErrOutcomeUnknown) {
//		message.ID = receipt.ID // under the same id it is stored once
//		receipt, err = ana.SendMessage(ctx, message)
//	}
//	if err != nil {
//		return err
//	}
//	fmt.Println("stored as number", receipt.Cursor.Seq())
//
// An error that matches [ErrOutcomeUnknown] leaves open whether the message is stored: the server
// did not answer in time. Send it again under the same id, within the stream's duplicate window (2
// minutes by default), and it is stored once. After any other error it is not stored, but for
// [ErrPanic], which is a bug. Of Send, whose error is all there is, the id is Error.ID.
//
// ExpectLast makes a send depend on nobody having written in between; of two agents that claim a
// task in this way, one gets [ErrConflict]:
//
//	first := chat.Outgoing{Thread: "task 7", Body: "mine", ExpectLast: &chat.Cursor{}}
//	_, err := ana.SendMessage(ctx, first)
//
// [Manager.SendAsync] does not wait for the server, so that many sends are under way at once;
// messages to one thread are stored in the order of the calls all the same.
//
//	var sendings []*chat.Sending
//	for i := range 100 {
//		body := fmt.Sprintf("measurement %d", i)
//		sending, err := ana.SendAsync(ctx, chat.Outgoing{Thread: "results", Body: body})
//		if err != nil {
//			return err
//		}
//		sendings = append(sendings, sending)
//	}
//	for _, sending := range sendings {
//		if _, err := sending.Wait(ctx); err != nil {
//			return err
//		}
//	}
//
// # Reading the past
//
// [Manager.History] is a page of a thread, up to its end as it is at the call. A page that does not
// reach the end says so and where the next begins:
//
//	start := chat.StartAll()
//	for {
//		page, err := ben.History(ctx, "plan", start, chat.Limit(2))
//		if err != nil {
//			return err
//		}
//		for _, message := range page.Messages {
//			fmt.Println(message.Body)
//		}
//		if !page.Truncated {
//			break
//		}
//		start = chat.StartAfter(page.Next)
//	}
//
// [StartLast] is the newest page, and with [Before] the one before it.
//
// [Manager.ListThreads] lists the threads of the project, the most recently used first, and
// [Manager.ThreadsForAgent] those in which an agent has written:
//
//	threads, err := ana.ListThreads(ctx)
//	if err != nil {
//		return err
//	}
//	for _, thread := range threads {
//		fmt.Println(thread.Name(), thread.MessageCount(), thread.LastSender())
//	}
//
// # Asking and answering
//
// [Manager.Ask] asks another agent and waits for its answer; nothing of it is stored. An agent that
// is away is known at once ([ErrNoResponders]). [Manager.Answer] answers what its agent is asked,
// with a handler on a goroutine of its own; [Concurrency] has it handle several at once.
//
//	answer := func(ctx context.Context, request chat.Request) ([]byte, error) {
//		if string(request.Payload) == "may I merge?" {
//			return []byte("yes"), nil
//		}
//		return nil, &chat.Error{RemoteCode: "not_my_part", Message: "ask the owner"}
//	}
//	responder, err := ben.Answer(ctx, answer)
//	if err != nil {
//		return err
//	}
//	defer responder.Close()
//
//	reply, err := ana.Ask(ctx, "ben", []byte("may I merge?"))
//	if err != nil {
//		return err
//	}
//	fmt.Println(string(reply))
//
//	var failed *chat.Error
//	_, err = ana.Ask(ctx, "ben", []byte("who pays?"))
//	if errors.As(err, &failed) {
//		fmt.Println(failed.RemoteCode)
//	}
//
// A handler's error reaches who asked only as the code and text of an [*Error] with a RemoteCode;
// any other error stays in the log here. [Manager.Request] and [Manager.Respond] do the same on any
// subject, with any NATS program at the other end.
//
// # Errors
//
// Each failure is of one kind, a [Code], and errors.Is finds it. Behind it is an [*Error] with what
// was tried and why it failed, what to do about it (Hint), and whether the same call may succeed
// later and does no harm (Retryable).
//
//	_, err := ana.Ask(ctx, "carl", nil)
//	var failed *chat.Error
//	if errors.As(err, &failed) {
//		fmt.Println("kind:", failed.Code)
//		fmt.Println("call:", failed.Op)
//		fmt.Println("may be tried again as it is:", failed.Retryable)
//	}
//	fmt.Println(errors.Is(err, chat.ErrNoResponders))
//
// A call that its context has ended matches that context's error, and after Close every call
// answers [ErrClosed]. A nil context panics; in the calls that the package of bones has too, so do
// an empty name and a nil handler. All of these are mistakes in the program.
//
// # Trace context
//
// The trace context of the context given to a send or a request goes with it, by the propagator
// that the program has set in OpenTelemetry (otel.SetTextMapPropagator); without one, nothing is
// added. The handler of Answer finds it in its context, and a message gives it back:
//
//	span := trace.SpanContextFromContext(message.Context(context.Background()))
//	fmt.Println("trace", span.TraceID())
//
// # The log
//
// libchat logs nothing until [SetLogger] gives it a [log/slog.Logger]. What no call can answer, as
// a channel of Watch that could not be set up, goes to standard error until then. Lines hold no
// body and no secret.
//
//	logger := slog.New(slog.NewTextHandler(&lines, nil))
//	if err := chat.SetLogger(logger); err != nil {
//		return err
//	}
//
// # Building and linking
//
// The package calls libchat by cgo: building takes CGO_ENABLED=1, which is the default where there
// is a C compiler, and pkg-config. In the sources of libchat, with Rust at hand, this installs it:
//
//	$ make install PREFIX=$HOME/.local
//
// A module that uses it says where the sources are, and is built and run with these set:
//
//	$ go mod edit -require=libchat.example/chat@v0.0.0 -replace=libchat.example/chat=$SOURCES/go
//	$ go mod tidy
//	$ export PKG_CONFIG_PATH=$HOME/.local/lib/pkgconfig
//	$ export LD_LIBRARY_PATH=$HOME/.local/lib
//	$ go build .
//
// PKG_CONFIG_PATH is for building, LD_LIBRARY_PATH for running; neither is needed with a prefix
// that the system looks at by itself. A program that should not need libchat.so where it runs has
// the library built in:
//
//	$ go build -tags libchat_static .
//
// For those without Rust, `make go-lib` in the sources makes target/go-lib: this module with the
// library in it, which go get takes from there once GOPROXY names that folder by a file:// address.
//
// # Limits and defaults
//
//   - A call whose context has no deadline waits at most: Connect, Open and Send 5 s; Conn.Open,
//     SendMessage and SendAsync 10 s; History, the lists and Ask 30 s. Request waits for ever.
//   - Close returns within 2 s; what has not ended by then ends in the background.
//   - A project's name has 1 to 250 bytes, an agent's 1 to 256, a message id 1 to 64.
//   - A message has 1 MiB at most, its envelope included, unless the server is set otherwise.
//   - A manager has up to 1,024 sends under way, the next one waits; and 1,024 live watches, or as
//     many as OpenOptions or Config say.
//   - For a slow loop 256 events or 8 MiB are held, and 64 MiB for all of a connection; the rest is
//     read from the stream when the loop comes to it.
//   - A responder handles one request at a time, and 256 more wait.
//
// A manager may be used from any goroutine. Waiting for messages and for answers to sends holds no
// thread of the system, so thousands of watches are fine. A process that forks (not by os/exec,
// which is fine) cannot use what it opened before: [ErrForked].
package chat
