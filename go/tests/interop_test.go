package tests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"libchat.example/chat"
)

// Bodies that a codec may get wrong.
var texts = []string{
	"hi",
	"",
	"Grüße, 你好, 😀, e\u0301, \u2028\u2029\ufeff",
	"<b>&amp;</b> \"quoted\" \\ back / slash",
	"one\ntwo\r\n\tthree\n",
	"\x00\x01\x1f\x7f",
	"{\"id\":\"not this\"}",
	strings.Repeat("64 KB", 64<<10/5),
}

func TestTheOriginalReadsWhatWeSend(t *testing.T) {
	m, ctx := open(t, "ana <&> ü"), within(t, 20*time.Second)
	o := openOriginal(t, m.Project(), "bones", 0)
	theirs, ours := o.watch(t, "*"), m.WatchAll(ctx)
	first := ""
	for i, body := range texts {
		thread := fmt.Sprint("thread ", i)
		receipt, err := m.SendMessage(ctx, chat.Outgoing{Thread: thread, Body: body, ReplyTo: first})
		check(t, err)
		first = receipt.ID
	}
	last := ""
	for i, body := range texts {
		told, read := receive(t, ctx, ours), <-theirs
		same(t, letter(told), read)
		same(t, []string{read.From, read.Thread, read.Body, read.ReplyTo},
			[]string{m.Agent(), o.short(fmt.Sprint("thread ", i)), body, last})
		if age := time.Since(read.Timestamp); age < 0 || age > time.Minute {
			t.Errorf("written %v ago", age)
		}
		last = read.ID
	}
}

func TestWeReadWhatTheOriginalSends(t *testing.T) {
	m, ctx := open(t, "ana"), within(t, 20*time.Second)
	o := openOriginal(t, m.Project(), "bones <&> ü", 0)
	one, all := m.Watch(ctx, "plan"), m.WatchAll(ctx)
	messages := m.Messages(ctx, "plan")
	sent := []letter{}
	for i, body := range texts {
		l := o.letter("plan", body)
		if i > 0 {
			l.ReplyTo = sent[i-1].ID
		}
		sent = append(sent, o.send(t, l))
	}
	for _, l := range sent {
		same(t, letter(receive(t, ctx, one)), l)
		same(t, letter(receive(t, ctx, all)), l)
	}
	page, err := m.History(ctx, "plan")
	check(t, err)
	same(t, len(page.Messages), len(sent))
	for i, message := range page.Messages {
		same(t, letterOf(message), sent[i])
	}
	at := 0
	for message, err := range messages {
		check(t, err)
		same(t, letterOf(message), sent[at])
		if at++; at == len(sent) {
			break
		}
	}
}

func letterOf(m chat.Message) letter {
	return letter{m.ID, m.Sender, m.Short, m.Body, m.SentAt, m.ReplyTo}
}

func TestTimestampsAreReadToTheNanosecond(t *testing.T) {
	m, ctx := open(t, "ana"), within(t, 20*time.Second)
	o := openOriginal(t, m.Project(), "bones", 0)
	channel := m.Watch(ctx, "plan")
	for _, ns := range []int{0, 1, 10, 999, 1_000, 120_000_000, 123_456_789, 999_999_999} {
		l := o.letter("plan", "x")
		l.Timestamp = time.Date(2026, 2, 28, 23, 59, 59, ns, time.UTC)
		o.send(t, l)
		same(t, receive(t, ctx, channel).Timestamp, l.Timestamp)
	}
}

func TestAMessageOfOursIsTheOriginalsJSONAndTheNameOfItsThread(t *testing.T) {
	m, ctx := open(t, "ana"), within(t, 20*time.Second)
	o := openOriginal(t, m.Project(), "bones", 0)
	channel := m.Watch(ctx, "pl<an")
	receipt, err := m.SendMessage(ctx, chat.Outgoing{Thread: "pl<an", Body: "<hi>", ReplyTo: "7"})
	check(t, err)
	want, err := json.Marshal(receive(t, ctx, channel))
	check(t, err)
	stored, err := o.stream.GetMsg(ctx, receipt.Cursor.Seq())
	check(t, err)
	name := `,"thread_name":"pl\u003can"}`
	same(t, string(stored.Data), strings.TrimSuffix(string(want), "}")+name)
	same(t, stored.Subject, "chat."+m.Project()+"."+o.short("pl<an"))
	same(t, stored.Header, nats.Header{"Nats-Msg-Id": {receipt.ID}})
}

func TestListsAgreeWithTheOriginals(t *testing.T) {
	ana, ben := open(t, "ana"), open(t, "ben")
	o := openOriginal(t, ana.Project(), "bones", 0)
	for i := range 300 {
		thread, body := fmt.Sprint("thread ", i*i%37), fmt.Sprint(texts[i%6], i)
		switch i % 3 {
		case 0:
			check(t, ana.Send(t.Context(), thread, body))
		case 1:
			o.send(t, o.letter(thread, body))
		case 2:
			check(t, ben.Send(t.Context(), thread, body))
		}
	}
	ours, err := ana.ListThreads(t.Context())
	check(t, err)
	agree(t, ours, o.list(t))
	if len(ours) < 10 {
		t.Errorf("%d threads", len(ours))
	}
	for _, agent := range []string{"ana", "ben", "bones", "nobody"} {
		for _, most := range []int{0, 1, 5, len(ours), 1000} {
			ours, err := ben.ThreadsForAgent(t.Context(), agent, most)
			check(t, err)
			agree(t, ours, o.listForAgent(t, agent, most))
		}
	}
}

func agree(t testing.TB, ours []chat.ThreadSummary, theirs []*tally) {
	t.Helper()
	if len(ours) != len(theirs) {
		t.Fatalf("%d threads, and %d", len(ours), len(theirs))
	}
	for i, thread := range theirs {
		same(t, ours[i].ThreadShort(), thread.short)
		same(t, ours[i].MessageCount(), thread.count)
		same(t, ours[i].LastBody(), thread.body)
		// Ours is the server's time, theirs the sender's, a moment before.
		if later := ours[i].LastActivity().Sub(thread.last); later < 0 || later > time.Minute {
			t.Errorf("%s: %v later", thread.short, later)
		}
	}
}

func TestBothOpenBesideEachOtherInEitherOrder(t *testing.T) {
	retention := 3 * time.Hour
	for _, order := range []string{"ours first", "theirs first"} {
		t.Run(order, func(t *testing.T) {
			cfg := config(t, "ana")
			cfg.MaxRetentionAge = retention
			if order == "ours first" {
				check(t, openWith(t, cfg).Send(t.Context(), "plan", "0"))
			}
			o := openOriginal(t, cfg.ProjectPrefix, "bones", retention)
			o.send(t, o.letter("plan", "1"))
			m := openWith(t, cfg)
			again := openOriginal(t, cfg.ProjectPrefix, "bones", time.Hour)
			same(t, stream(t, o.nc, m.Project()).Config.MaxAge, time.Hour)
			openWith(t, cfg)
			same(t, stream(t, o.nc, m.Project()).Config.MaxAge, retention)

			ctx := within(t, 20*time.Second)
			theirs, ours := again.watch(t, "*"), m.WatchAll(ctx)
			check(t, m.Send(ctx, "plan", "2"))
			o.send(t, o.letter("plan", "3"))
			for _, body := range []string{"2", "3"} {
				same(t, receive(t, ctx, ours).Body, body)
				same(t, (<-theirs).Body, body)
			}
		})
	}
}

func TestBothOpenAtOnce(t *testing.T) {
	for i := range 20 {
		cfg := config(t, "ana")
		cfg.ProjectPrefix = fmt.Sprint(cfg.ProjectPrefix, i)
		nc := connect(t)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if m, err := chat.Open(t.Context(), cfg); err != nil {
					t.Error(err)
				} else {
					m.Close()
				}
			})
			all.Go(func() {
				if _, err := newOriginal(t.Context(), nc, cfg.ProjectPrefix, "bones", 0); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}

func TestTheStreamOfOursIsWhatTheOriginalMakes(t *testing.T) {
	ours, theirs := open(t, "ana").Project(), project(t)+"-theirs"
	nc := connect(t)
	openOriginal(t, theirs, "bones", 0)
	want, got := stream(t, nc, theirs).Config, stream(t, nc, ours).Config
	want.Name, want.Subjects = "chat-"+ours, []string{"chat." + ours + ".>"}
	same(t, got, want)
}

func TestEitherAnswersWhatTheOtherAsks(t *testing.T) {
	m, nc := open(t, "ana"), connect(t)
	fails := func(payload []byte) ([]byte, error) {
		if string(payload) == "fail" {
			return nil, errors.New("no")
		}
		return append([]byte("re: "), payload...), nil
	}
	_, err := m.Respond(subject(t)+".ours", fails)
	check(t, err)
	_, err = nc.Subscribe(subject(t)+".theirs", func(request *nats.Msg) {
		if reply, err := fails(request.Data); err == nil {
			same(t, request.Respond(reply), nil)
		}
	})
	check(t, err)
	check(t, nc.Flush())
	for _, payload := range append(texts, "\xff\xfe") {
		reply, err := nc.Request(subject(t)+".ours", []byte(payload), 20*time.Second)
		check(t, err)
		same(t, string(reply.Data), "re: "+payload)
		same(t, len(reply.Header), 0)
		answer, err := m.Request(t.Context(), subject(t)+".theirs", []byte(payload))
		check(t, err)
		same(t, string(answer), "re: "+payload)
	}
	brief := within(t, 200*time.Millisecond)
	_, err = nc.RequestWithContext(brief, subject(t)+".ours", []byte("fail"))
	same(t, err, context.DeadlineExceeded)
	brief = within(t, 200*time.Millisecond)
	_, err = m.Request(brief, subject(t)+".theirs", []byte("fail"))
	same(t, errors.Is(err, context.DeadlineExceeded), true)
}
