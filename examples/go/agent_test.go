package examples

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"libchat.example/chat"
)

// Id, sender, thread, text; whom the sender asks before, what, and the answer.
const conversation = `line-1	ana	plan	Who tests?			
line-2	ben	plan	I do.			
line-3	ana	tests	Good. Umläuts, "quotes", <tags> and \, too.			
line-4	ana	tests	ben is away.	ben	still there?	
line-5	ben	tests	I am back.			
line-6	ana	plan	Then we are done.	ben	all green?	all green

`

// note is a line of an agent's journal; what is not in it is nil.
type note struct {
	Started *struct{ After *string }
	Saw     *saw
	Asked   *struct {
		To, Text string
		Answer   *string
	}
	Said  *struct{}
	Odd   *string
	Ended *struct{ Reconnects int }

	caughtUp bool
}

type saw struct{ Cursor, ID, Thread, Sender, Body string }

// agent is a process of the demo's agent; its input stays open.
type agent struct {
	cmd   *exec.Cmd
	input io.WriteCloser
	says  bytes.Buffer
}

func start(t *testing.T, folder, program, name string) *agent {
	t.Helper()
	a := &agent{cmd: command(t, folder, program, name)}
	a.cmd.Stdout, a.cmd.Stderr = &a.says, &a.says
	input, err := a.cmd.StdinPipe()
	check(t, err)
	a.input = input
	check(t, a.cmd.Start())
	t.Cleanup(func() { a.cmd.Process.Kill() })
	_, err = io.WriteString(a.input, conversation)
	check(t, err)
	return a
}

// end waits until an agent ends by itself: with which status, and what it has said.
func (a *agent) end() string {
	a.cmd.Wait() // the status says the same
	return fmt.Sprintf("%d %s", a.cmd.ProcessState.ExitCode(), a.says.String())
}

func notes(t *testing.T, folder, name string) []note {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name+".jsonl"))
	check(t, err)
	var notes []note
	for line := range strings.Lines(string(text)) {
		n := note{caughtUp: line == "\"caught_up\"\n"}
		if !n.caughtUp {
			check(t, json.Unmarshal([]byte(line), &n))
		}
		notes = append(notes, n)
	}
	return notes
}

// find lists what is found in the notes.
func find[T any](notes []note, what func(note) *T) (found []T) {
	for _, note := range notes {
		if it := what(note); it != nil {
			found = append(found, *it)
		}
	}
	return found
}

func same[T any](t *testing.T, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAnAgentOfTheDemoOutlivesAKill(t *testing.T) {
	program := build(t, "agent")
	folder, url := startServer(t)
	heard := audience(t, url)
	ana, ben := start(t, folder, program, "ana"), start(t, folder, program, "ben")
	for _, id := range []string{"line-1", "line-2", "line-3"} {
		same(t, (<-heard).ID, id)
	}
	check(t, ben.cmd.Process.Kill())
	ben.cmd.Wait() // it was killed, as this says
	before := find(notes(t, folder, "ben"), func(n note) *saw { return n.Saw })
	cutShort(t, filepath.Join(folder, "ben.jsonl"))
	same(t, (<-heard).ID, "line-4")
	ben = start(t, folder, program, "ben")
	for _, agent := range []*agent{ana, ben} {
		same(t, agent.end(), "0 ")
	}

	anas, bens := notes(t, folder, "ana"), notes(t, folder, "ben")
	all := find(anas, func(n note) *saw { return n.Saw })
	same(t, find(bens, func(n note) *saw { return n.Saw }), all)
	same(t, len(all), 6)
	for i, line := range strings.Split(conversation, "\n")[:len(all)] {
		words := strings.Join([]string{all[i].ID, all[i].Sender, all[i].Thread, all[i].Body}, "\t")
		same(t, strings.HasPrefix(line, words+"\t"), true)
	}
	starts := find(bens, func(n note) *struct{ After *string } { return n.Started })
	same(t, len(starts), 2)
	same(t, starts[0].After, nil)
	same(t, *starts[1].After, before[len(before)-1].Cursor)

	var asked []string
	for _, n := range anas {
		if n.Asked != nil {
			answer := "nobody"
			if n.Asked.Answer != nil {
				answer = *n.Asked.Answer
			}
			asked = append(asked, n.Asked.To+" "+n.Asked.Text+" "+answer)
		}
	}
	same(t, asked, []string{"ben still there? nobody", "ben all green? all green"})
	same(t, len(find(anas, func(n note) *struct{} { return n.Said })), 4)
	for _, notes := range [][]note{anas, bens} {
		same(t, notes[len(notes)-1].Ended.Reconnects, 0)
		same(t, len(find(notes, func(n note) *string { return n.Odd })), 0)
	}
}

func TestAnAgentOfTheDemoEndsWithWhoeverStartedIt(t *testing.T) {
	program := build(t, "agent")
	folder, _ := startServer(t)
	ben := start(t, folder, program, "ben")
	check(t, ben.input.Close())
	same(t, ben.end(), "1 ")
}

func TestWithoutAServerAProgramSaysSoInALine(t *testing.T) {
	const nobody = "nats://127.0.0.1:1"
	for name, arguments := range map[string][]string{
		"agent": {"ana"}, "bones": {nobody}, "two_agents": {},
	} {
		cmd := command(t, t.TempDir(), build(t, name), arguments...)
		cmd.Env = append(cmd.Env, "LIBCHAT_URL="+nobody)
		input, err := cmd.StdinPipe()
		check(t, err)
		_, err = io.WriteString(input, "\n")
		check(t, err)
		text, _ := cmd.CombinedOutput()
		same(t, cmd.ProcessState.ExitCode(), 1)
		if strings.Count(string(text), "\n") != 1 || !strings.HasPrefix(string(text), name) {
			t.Errorf("%s says %s", name, text)
		}
	}
}

// audience hears every message of the demo.
func audience(t *testing.T, url string) <-chan chat.Envelope {
	t.Helper()
	m, err := chat.Open(t.Context(), chat.Config{
		AgentID: "audience", ProjectPrefix: "demo", URL: url, MaxSubscribers: 1,
	})
	check(t, err)
	t.Cleanup(func() { m.Close() })
	return m.WatchAll(t.Context())
}

// cutShort leaves in a journal what a kill leaves of a line.
func cutShort(t *testing.T, path string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	check(t, err)
	_, err = file.WriteString(`{"saw":{"cur`)
	check(t, err)
	check(t, file.Close())
}
