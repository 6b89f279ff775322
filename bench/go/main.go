// Bench measures libchat's Go package beside nats.go that does the same work, and prints lines of
// the table in bench/README.md.
//
//	bench [-rounds 5] URL [send flight read live list]
//
// The server should have nothing else to do. A figure is the median of the rounds, in each of which
// one rival follows the other. Allocations are those of Go's heap.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
)

// topics are what can be measured, and how.
var topics = []struct {
	name string
	rows func(context.Context, *bench) []row
}{
	{"send", sendRows},
	{"flight", flightRows},
	{"read", readRows},
	{"live", liveRows},
	{"list", listRows},
}

type bench struct {
	url    string
	rounds int
}

func main() {
	log.SetFlags(0)
	b := bench{}
	flag.IntVar(&b.rounds, "rounds", 5, "how often each measure is taken")
	flag.Parse()
	if flag.NArg() == 0 {
		log.Fatal("usage: bench [-rounds 5] URL [send flight read live list]")
	}
	b.url = flag.Arg(0)
	// Cancellable, as a program's contexts are.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, topic := range topics {
		if !isWanted(topic.name, flag.Args()[1:]) {
			continue
		}
		for _, row := range topic.rows(ctx, &b) {
			fmt.Println(row)
		}
	}
}

func isWanted(name string, names []string) bool {
	for _, wanted := range names {
		if wanted == name {
			return true
		}
	}
	return len(names) == 0
}

// must ends the program: a bench in which something fails has measured nothing.
func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
