package tests

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// alone runs a test in a process of its own, whose threads, goroutines, descriptors and memory are
// that test's: true in that process.
func alone(t *testing.T) bool {
	t.Helper()
	const name = "LIBCHAT_TEST_ALONE"
	if os.Getenv(name) == t.Name() {
		return true
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), name+"="+t.Name())
	output, err := child.CombinedOutput()
	t.Logf("%s", output)
	check(t, err)
	if !strings.Contains(string(output), "--- PASS: "+t.Name()+" ") {
		t.Error("it did not run")
	}
	return false
}

// status is a number in /proc/self/status.
func status(t testing.TB, name string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	check(t, err)
	found := regexp.MustCompile(name + `:\s+(\d+)`).FindSubmatch(text)
	if found == nil {
		t.Fatal(name, " is not there")
	}
	number, err := strconv.Atoi(string(found[1]))
	check(t, err)
	return number
}

func descriptors(t testing.TB) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	check(t, err)
	return len(files)
}

// goroutines are the stacks of all.
func goroutines() []string {
	for size := 1 << 20; ; size *= 2 {
		text := make([]byte, size)
		if n := runtime.Stack(text, true); n < size {
			return strings.Split(string(text[:n]), "\n\n")
		}
	}
}

// countIn is how many goroutines are in a function.
func countIn(function string) int {
	count := 0
	for _, stack := range goroutines() {
		if strings.Contains(stack, function) {
			count++
		}
	}
	return count
}

// underWay waits until as many goroutines are in a function.
func underWay(t testing.TB, function string, count int) {
	t.Helper()
	ctx := within(t, 20*time.Second)
	for countIn(function) < count {
		check(t, ctx.Err())
		runtime.Gosched()
	}
}

// checkThreads wants few threads, and no goroutine that holds one in C.
func checkThreads(t testing.TB) {
	t.Helper()
	threads := status(t, "Threads")
	t.Logf("%d threads, %d goroutines", threads, runtime.NumGoroutine())
	if threads >= 50 {
		t.Errorf("%d threads", threads)
	}
	for _, stack := range goroutines() {
		if strings.Contains(stack, "runtime.cgocall(") {
			t.Errorf("in C:\n%s", stack)
		}
	}
}

// level is what a process holds.
type level struct{ goroutines, descriptors int }

func levelNow(t testing.TB) level {
	return level{runtime.NumGoroutine(), descriptors(t)}
}

// backTo waits until no more is held than before.
func backTo(t testing.TB, before level) {
	t.Helper()
	ctx := within(t, 20*time.Second)
	for {
		now := levelNow(t)
		if now.goroutines <= before.goroutines && now.descriptors <= before.descriptors {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%+v, and before %+v:\n%s", now, before, strings.Join(goroutines(), "\n\n"))
		}
		runtime.Gosched()
	}
}
