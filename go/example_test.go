package chat_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"libchat.example/chat"
)

// talk gives an example two agents of a project of its own, and prints why it failed.
func talk(project string, example func(ctx context.Context, ana, ben *chat.Manager) error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := meet(ctx, project, example); err != nil {
		fmt.Println(err)
	}
}

func meet(
	ctx context.Context, project string,
	example func(ctx context.Context, ana, ben *chat.Manager) error,
) error {
	conn, err := chat.Connect(ctx, chat.ConnectOptions{Servers: []string{serverURL}})
	if err != nil {
		return err
	}
	defer conn.Close()
	ana, err := conn.Open(ctx, project, "ana", chat.OpenOptions{})
	if err != nil {
		return err
	}
	ben, err := conn.Open(ctx, project, "ben", chat.OpenOptions{})
	if err != nil {
		return err
	}
	return example(ctx, ana, ben)
}

// found has chat.Connect find the tests' server as a program of this folder would.
func found(example func(ctx context.Context) error) {
	defer os.Setenv("LIBCHAT_URL", os.Getenv("LIBCHAT_URL"))
	os.Setenv("LIBCHAT_URL", serverURL)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := example(ctx); err != nil {
		fmt.Println(err)
	}
}

// natsConn stands for a *nats.Conn.
type natsConn string

func (c natsConn) ConnectedUrl() string { return string(c) }

func Example() {
	found(func(ctx context.Context) error {
		conn, err := chat.Connect(ctx, chat.ConnectOptions{}) // finds the server
		if err != nil {
			return err
		}
		defer conn.Close()
		ana, err := conn.Open(ctx, "shop", "ana", chat.OpenOptions{})
		if err != nil {
			return err
		}
		ben, err := conn.Open(ctx, "shop", "ben", chat.OpenOptions{})
		if err != nil {
			return err
		}

		plan := ben.Messages(ctx, "plan") // what is stored from now on
		if err := ana.Send(ctx, "plan", "Shall we ship on Friday?"); err != nil {
			return err
		}
		for message, err := range plan {
			if err != nil {
				return err
			}
			fmt.Printf("%s says: %s\n", message.Sender, message.Body)
			break
		}
		return nil
	})
	// Output: ana says: Shall we ship on Friday?
}

func ExampleOpen() {
	found(func(ctx context.Context) error {
		nc := natsConn(serverURL)
		m, err := chat.Open(ctx, chat.Config{
			AgentID:        "ana",
			ProjectPrefix:  "example-open",
			Nats:           nc, // a *nats.Conn
			MaxSubscribers: 8,
		})
		if err != nil {
			return err
		}
		defer m.Close()
		plan := m.Watch(ctx, "plan")
		if err := m.Send(ctx, "plan", "prices first"); err != nil {
			return err
		}
		envelope := <-plan
		fmt.Println(envelope.From, envelope.Thread, envelope.Body)
		return nil
	})
	// Output: ana 44333262 prices first
}

func ExampleManager_Messages() {
	talk("example-messages", func(ctx context.Context, ana, ben *chat.Manager) error {
		for _, body := range []string{"1", "2", "end"} {
			if err := ana.Send(ctx, "plan", body); err != nil {
				return err
			}
		}

		for message, err := range ben.Messages(ctx, "plan", chat.StartAll()) {
			if err != nil {
				return err
			}
			fmt.Println(message.Cursor.Seq(), message.Sender, message.Body)
			if message.Body == "end" {
				break
			}
		}
		return nil
	})
	// Output:
	// 1 ana 1
	// 2 ana 2
	// 3 ana end
}

func ExampleManager_Events() {
	talk("example-events", func(ctx context.Context, ana, ben *chat.Manager) error {
		if err := ana.Send(ctx, "plan", "prices first"); err != nil {
			return err
		}

		for event, err := range ben.EventsAll(ctx, chat.StartAll()) {
			if err != nil {
				return err
			}
			switch event := event.(type) {
			case chat.Message:
				fmt.Printf("%s in %s: %s\n", event.Sender, event.Thread, event.Body)
			case chat.CaughtUp:
				fmt.Println("that was the past")
				return nil
			case chat.Gap:
				fmt.Println("lost: what lay between", event.After, "and", event.Until)
			case chat.Reset:
				fmt.Println("the stream was made anew: all of it follows")
			}
		}
		return nil
	})
	// Output:
	// ana in plan: prices first
	// that was the past
}

func ExampleStartAfter() {
	talk("example-resume", func(ctx context.Context, ana, ben *chat.Manager) error {
		receipt, err := ana.SendMessage(ctx, chat.Outgoing{Thread: "plan", Body: "1"})
		if err != nil {
			return err
		}
		saved := receipt.Cursor.String() // one line of text, for a file
		if err := ana.Send(ctx, "plan", "2"); err != nil {
			return err
		}

		place, err := chat.ParseCursor(saved)
		if err != nil {
			return err
		}
		for message, err := range ben.Messages(ctx, "plan", chat.StartAfter(place)) {
			if err != nil {
				return err
			}
			fmt.Println(message.Body)
			break
		}
		return nil
	})
	// Output: 2
}

func ExampleManager_SendMessage() {
	talk("example-send", func(ctx context.Context, ana, ben *chat.Manager) error {
		message := chat.Outgoing{Thread: "plan", Body: "prices first"}
		receipt, err := ana.SendMessage(ctx, message)
		if errors.Is(err, chat.ErrOutcomeUnknown) {
			message.ID = receipt.ID // under the same id it is stored once
			receipt, err = ana.SendMessage(ctx, message)
		}
		if err != nil {
			return err
		}
		fmt.Println("stored as number", receipt.Cursor.Seq())

		message.ID = receipt.ID
		receipt, err = ben.SendMessage(ctx, message)
		fmt.Println(receipt.Cursor.Seq(), receipt.Duplicate)
		return err
	})
	// Output:
	// stored as number 1
	// 1 true
}

func ExampleOutgoing_expectLast() {
	talk("example-expect", func(ctx context.Context, ana, ben *chat.Manager) error {
		first := chat.Outgoing{Thread: "task 7", Body: "mine", ExpectLast: &chat.Cursor{}}
		_, err := ana.SendMessage(ctx, first)
		if err != nil {
			return err
		}
		_, err = ben.SendMessage(ctx, first)
		fmt.Println(errors.Is(err, chat.ErrConflict))
		return nil
	})
	// Output: true
}

func ExampleManager_SendAsync() {
	talk("example-async", func(ctx context.Context, ana, ben *chat.Manager) error {
		var sendings []*chat.Sending
		for i := range 100 {
			body := fmt.Sprintf("measurement %d", i)
			sending, err := ana.SendAsync(ctx, chat.Outgoing{Thread: "results", Body: body})
			if err != nil {
				return err
			}
			sendings = append(sendings, sending)
		}
		for _, sending := range sendings {
			if _, err := sending.Wait(ctx); err != nil {
				return err
			}
		}
		threads, err := ana.ListThreads(ctx)
		if err != nil {
			return err
		}
		fmt.Println(threads[0].MessageCount(), threads[0].LastBody())
		return nil
	})
	// Output: 100 measurement 99
}

func ExampleManager_History() {
	talk("example-history", func(ctx context.Context, ana, ben *chat.Manager) error {
		for _, body := range []string{"1", "2", "3", "4", "5"} {
			if err := ana.Send(ctx, "plan", body); err != nil {
				return err
			}
		}

		start := chat.StartAll()
		for {
			page, err := ben.History(ctx, "plan", start, chat.Limit(2))
			if err != nil {
				return err
			}
			for _, message := range page.Messages {
				fmt.Println(message.Body)
			}
			if !page.Truncated {
				break
			}
			start = chat.StartAfter(page.Next)
		}

		last, err := ben.History(ctx, "plan", chat.StartLast(1))
		if err != nil {
			return err
		}
		fmt.Println("the last is", last.Messages[0].Body)
		return nil
	})
	// Output:
	// 1
	// 2
	// 3
	// 4
	// 5
	// the last is 5
}

func ExampleManager_ListThreads() {
	talk("example-lists", func(ctx context.Context, ana, ben *chat.Manager) error {
		if err := ana.Send(ctx, "plan", "prices first"); err != nil {
			return err
		}
		if err := ben.Send(ctx, "review", "parts.go, line 40"); err != nil {
			return err
		}

		threads, err := ana.ListThreads(ctx)
		if err != nil {
			return err
		}
		for _, thread := range threads {
			fmt.Println(thread.Name(), thread.MessageCount(), thread.LastSender())
		}

		mine, err := ana.ThreadsForAgent(ctx, "ana", 10)
		if err != nil {
			return err
		}
		fmt.Println(len(mine), mine[0].Name())
		return nil
	})
	// Output:
	// review 1 ben
	// plan 1 ana
	// 1 plan
}

func ExampleManager_Ask() {
	talk("example-ask", func(ctx context.Context, ana, ben *chat.Manager) error {
		answer := func(ctx context.Context, request chat.Request) ([]byte, error) {
			if string(request.Payload) == "may I merge?" {
				return []byte("yes"), nil
			}
			return nil, &chat.Error{RemoteCode: "not_my_part", Message: "ask the owner"}
		}
		responder, err := ben.Answer(ctx, answer)
		if err != nil {
			return err
		}
		defer responder.Close()

		reply, err := ana.Ask(ctx, "ben", []byte("may I merge?"))
		if err != nil {
			return err
		}
		fmt.Println(string(reply))

		var failed *chat.Error
		_, err = ana.Ask(ctx, "ben", []byte("who pays?"))
		if errors.As(err, &failed) {
			fmt.Println(failed.RemoteCode)
		}

		_, err = ana.Ask(ctx, "carl", []byte("are you there?"))
		fmt.Println(errors.Is(err, chat.ErrNoResponders))
		return nil
	})
	// Output:
	// yes
	// not_my_part
	// true
}

func ExampleManager_Respond() {
	talk("example-respond", func(ctx context.Context, ana, ben *chat.Manager) error {
		stop, err := ben.Respond("shop.price", func(payload []byte) ([]byte, error) {
			return []byte("12 for " + string(payload)), nil
		})
		if err != nil {
			return err
		}
		defer stop()
		reply, err := ana.Request(ctx, "shop.price", []byte("pears"))
		fmt.Println(string(reply))
		return err
	})
	// Output: 12 for pears
}

func ExampleError() {
	talk("example-error", func(ctx context.Context, ana, ben *chat.Manager) error {
		_, err := ana.Ask(ctx, "carl", nil)
		var failed *chat.Error
		if errors.As(err, &failed) {
			fmt.Println("kind:", failed.Code)
			fmt.Println("call:", failed.Op)
			fmt.Println("may be tried again as it is:", failed.Retryable)
		}
		fmt.Println(errors.Is(err, chat.ErrNoResponders))
		return nil
	})
	// Output:
	// kind: chat: NO_RESPONDERS
	// call: chat.Ask
	// may be tried again as it is: true
	// true
}

func ExampleMessage_Context() {
	traceparent := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	before := otel.GetTextMapPropagator()
	defer otel.SetTextMapPropagator(before)
	otel.SetTextMapPropagator(propagation.TraceContext{}) // as an instrumented program does
	talk("example-trace", func(ctx context.Context, ana, ben *chat.Manager) error {
		ctx = otel.GetTextMapPropagator().Extract(ctx,
			propagation.MapCarrier{"traceparent": traceparent})

		plan := ben.Messages(ctx, "plan")
		if err := ana.Send(ctx, "plan", "prices first"); err != nil {
			return err
		}
		for message, err := range plan {
			if err != nil {
				return err
			}
			span := trace.SpanContextFromContext(message.Context(context.Background()))
			fmt.Println("trace", span.TraceID())
			break
		}
		return nil
	})
	// Output: trace 0af7651916cd43dd8448eb211c80319c
}

func ExampleSetLogger() {
	var lines bytes.Buffer
	talk("example-log", func(ctx context.Context, ana, ben *chat.Manager) error {
		logger := slog.New(slog.NewTextHandler(&lines, nil))
		if err := chat.SetLogger(logger); err != nil {
			return err
		}
		<-ana.WatchPattern(ctx, "no pattern") // a channel cannot say what is wrong
		return chat.SetLogger(nil)            // when it has returned, all is written
	})
	fmt.Println(strings.Contains(lines.String(), "a watch could not be set up"))
	// Output: true
}

func TestEachProgramOfTheDocumentationIsAnExample(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	check(t, err)
	source, err := os.ReadFile("example_test.go")
	check(t, err)
	examples := withoutIndent(string(source))
	programs := 0
	for _, text := range strings.Split(string(doc), "\n//\n") {
		program, isCode := strings.CutPrefix(text, "//\t")
		if !isCode || strings.HasPrefix(program, "$ ") {
			continue
		}
		programs++
		program = withoutIndent(strings.ReplaceAll(program, "\n//\t", "\n"))
		if !strings.Contains(examples, program) {
			t.Errorf("no example has\n%s", program)
		}
	}
	if programs < 10 {
		t.Errorf("%d programs were found", programs)
	}
}

func withoutIndent(code string) string {
	lines := strings.Split(code, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n")
}
