// Two agents talk in a thread; one goes away, and comes back later to what was said meanwhile.
//
// It needs a server: libchat up.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"libchat.example/chat"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "two_agents:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	conn, err := chat.Connect(ctx, chat.ConnectOptions{}) // finds the server
	if err != nil {
		return err
	}
	defer conn.Close()
	ana, err := conn.Open(ctx, "demo", "ana", chat.OpenOptions{})
	if err != nil {
		return err
	}

	place, err := talk(ctx, conn, ana)
	if err != nil {
		return err
	}
	fmt.Println("ben is away")
	for _, body := range []string{"They are green.", "Good night."} {
		if err := ana.Send(ctx, "plan", body); err != nil {
			return err
		}
	}
	fmt.Println("ben is back")
	return catchUp(ctx, conn, place)
}

// talk has ben hear one message and answer it, and gives the place where ben has stopped.
func talk(ctx context.Context, conn *chat.Conn, ana *chat.Manager) (string, error) {
	ben, err := conn.Open(ctx, "demo", "ben", chat.OpenOptions{})
	if err != nil {
		return "", err
	}
	defer ben.Close()
	heardByAna := ana.Messages(ctx, "plan", chat.SkipOwn())
	heardByBen := ben.Messages(ctx, "plan", chat.SkipOwn())

	if err := ana.Send(ctx, "plan", "Shall we ship on Friday?"); err != nil {
		return "", err
	}
	question, err := first(heardByBen)
	if err != nil {
		return "", err
	}
	_, err = ben.SendMessage(ctx, chat.Outgoing{
		Thread:  "plan",
		Body:    "Yes, if the tests are green.",
		ReplyTo: question.ID,
	})
	if err != nil {
		return "", err
	}
	answer, err := first(heardByAna)
	if err != nil {
		return "", err
	}
	fmt.Printf("%s: %s\n%s: %s\n", question.Sender, question.Body, answer.Sender, answer.Body)
	return answer.Cursor.String(), nil // one line of text, as a program keeps it in a file
}

func first(messages func(yield func(chat.Message, error) bool)) (chat.Message, error) {
	for message, err := range messages {
		return message, err
	}
	return chat.Message{}, context.DeadlineExceeded
}

// catchUp has ben read what follows a place, until somebody says good night.
func catchUp(ctx context.Context, conn *chat.Conn, saved string) error {
	place, err := chat.ParseCursor(saved)
	if err != nil {
		return err
	}
	ben, err := conn.Open(ctx, "demo", "ben", chat.OpenOptions{})
	if err != nil {
		return err
	}
	defer ben.Close()
	for message, err := range ben.Messages(ctx, "plan", chat.StartAfter(place)) {
		if err != nil {
			return err
		}
		fmt.Printf("%s: %s\n", message.Sender, message.Body)
		if message.Body == "Good night." {
			return nil
		}
	}
	return ctx.Err()
}
