package main

import (
	"fmt"
	"runtime"
	"slices"
	"time"
)

// cost is what a piece of work took.
type cost struct {
	messages int
	time     time.Duration
	each     []time.Duration // of each message, if it was one after the other
	allocs   uint64
	bytes    uint64
}

// measure does a piece of work on so many messages.
func measure(messages int, work func() []time.Duration) cost {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begun := time.Now()
	each := work()
	elapsed := time.Since(begun)
	runtime.ReadMemStats(&after)
	return cost{
		messages: messages,
		time:     elapsed,
		each:     each,
		allocs:   after.Mallocs - before.Mallocs,
		bytes:    after.TotalAlloc - before.TotalAlloc,
	}
}

// without takes off what was done beside the work that is compared.
func (c cost) without(other cost) cost {
	c.allocs -= min(other.allocs, c.allocs)
	c.bytes -= min(other.bytes, c.bytes)
	return c
}

// alternate takes each measure once in every round.
func alternate(rounds int, measures ...func() cost) [][]cost {
	costs := make([][]cost, len(measures))
	for range rounds {
		for i, measure := range measures {
			costs[i] = append(costs[i], measure())
		}
	}
	return costs
}

// A figure is read from a cost, and shown.
type figure struct {
	of   func(cost) float64
	show func(float64) string
}

var (
	rate = figure{
		func(c cost) float64 { return float64(c.messages) / c.time.Seconds() },
		func(rate float64) string { return fmt.Sprintf("%.1f k/s", rate/1e3) },
	}
	seconds = figure{func(c cost) float64 { return c.time.Seconds() }, shownSeconds}
	p50     = figure{func(c cost) float64 { return c.quantile(0.50) }, shownSeconds}
	p99     = figure{func(c cost) float64 { return c.quantile(0.99) }, shownSeconds}
	allocs  = figure{
		func(c cost) float64 { return float64(c.allocs) / float64(c.messages) },
		func(allocs float64) string { return fmt.Sprintf("%.1f", allocs) },
	}
	bytes = figure{
		func(c cost) float64 { return float64(c.bytes) / float64(c.messages) },
		func(bytes float64) string { return fmt.Sprintf("%.0f B", bytes) },
	}
	megabytes = figure{
		func(c cost) float64 { return float64(c.bytes) / 1e6 },
		func(megabytes float64) string { return fmt.Sprintf("%.1f MB", megabytes) },
	}
)

func (c cost) quantile(part float64) float64 {
	sorted := slices.Sorted(slices.Values(c.each))
	return sorted[int(part*float64(len(sorted)-1))].Seconds()
}

func shownSeconds(seconds float64) string {
	if seconds < 1e-3 {
		return fmt.Sprintf("%.0f µs", seconds*1e6)
	}
	return fmt.Sprintf("%.1f ms", seconds*1e3)
}

// row is one line of the table. The aim is text: without one there is none.
type row struct {
	what, rival, aim string
	figure           figure
	ours, theirs     []cost
}

func (r row) String() string {
	ours, theirs := r.figure.median(r.ours), r.figure.median(r.theirs)
	return fmt.Sprintf("| %s | %s | %s | %s | %.2f | %s |",
		r.what, r.figure.show(ours), r.rival, r.figure.show(theirs), ours/theirs, r.aim)
}

func (f figure) median(costs []cost) float64 {
	var all []float64
	for _, cost := range costs {
		all = append(all, f.of(cost))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
