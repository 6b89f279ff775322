// Package examples runs the programs beside it.
package examples

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"libchat.example/chat"
)

// It is only there to end a test that hangs.
const patience = 2 * time.Minute

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// startServer starts a server of the test's own, and answers its folder and address.
func startServer(t *testing.T) (folder, url string) {
	t.Helper()
	folder = t.TempDir()
	url, err := chat.StartLocalServer(folder)
	check(t, err)
	t.Cleanup(func() { check(t, chat.StopLocalServer(folder)) })
	return folder, url
}

// build builds a program of this module.
func build(t *testing.T, name string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	text, err := exec.Command("go", "build", "-o", program, "./"+name).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return program
}

// command is a program that runs in a folder and knows of no server but that of the folder.
func command(t *testing.T, folder, program string, arguments ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program, arguments...)
	cmd.Dir = folder
	for _, variable := range os.Environ() {
		switch name, _, _ := strings.Cut(variable, "="); name {
		case "LIBCHAT_URL", "NATS_URL", "NATS_CONTEXT":
		default:
			cmd.Env = append(cmd.Env, variable)
		}
	}
	return cmd
}

// prints checks all that a program says.
func prints(t *testing.T, cmd *exec.Cmd, file string) {
	t.Helper()
	want, err := os.ReadFile(filepath.Join("testdata", file))
	check(t, err)
	got, err := cmd.CombinedOutput()
	if err != nil || string(got) != string(want) {
		t.Errorf("%v; it says\n%s\nnot\n%s", err, got, want)
	}
}

func TestTwoAgentsTalkAndOneComesBack(t *testing.T) {
	program := build(t, "two_agents")
	folder, _ := startServer(t)
	prints(t, command(t, folder, program), "two_agents.txt")
	prints(t, command(t, folder, program), "two_agents.txt") // what is there already is passed over
}

func TestAgentsCoordinateByTheCallsOfBones(t *testing.T) {
	program := build(t, "bones")
	folder, url := startServer(t)
	prints(t, command(t, folder, program, url), "bones.txt")
}

func TestTheReadmeShowsAPartOfTheProgramThatRuns(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	check(t, err)
	program, err := os.ReadFile("two_agents/main.go")
	check(t, err)
	blocks := strings.Split(string(readme), "```go\n")[1:]
	if len(blocks) == 0 {
		t.Error("the README has no Go")
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		if !strings.Contains(withoutIndent(string(program)), withoutIndent(block)) {
			t.Errorf("two_agents/main.go does not have\n%s", block)
		}
	}
}

func withoutIndent(code string) string {
	lines := strings.Split(code, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n")
}
