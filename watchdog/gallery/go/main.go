// Programs in Go that leak, or only look like it. The standard library only, so that nothing is downloaded.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"strings"
	"time"
)

// Between two rounds of requests: short, so that growth looks steady.
const tick = 10 * time.Millisecond

// A leak that was forgotten must not take the whole machine.
const most = 2 << 30

// One request of a customer.
type request struct {
	id   int
	body []byte
}

// Each answers one request, and returns the bytes it keeps of it or, where nothing is kept, has allocated for it.
var programs = map[string]func(request) int{
	"go-map-cache":       servePage,
	"go-goroutines":      acceptUpload,
	"go-slice-retention": indexUpload,
	"go-churn":           report,
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return errors.New("name a program: go-map-cache, go-goroutines, go-slice-retention or go-churn")
	}
	program, known := programs[arguments[0]]
	if !known {
		return fmt.Errorf("there is no program %q", arguments[0])
	}
	flags := flag.NewFlagSet(arguments[0], flag.ContinueOnError)
	rate := flags.Int("rate", 20_000_000, "bytes kept in a second")
	admin := flags.String("admin", "127.0.0.1:0", "where net/http/pprof answers")
	if err := flags.Parse(arguments[1:]); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *admin)
	if err != nil {
		return err
	}
	line := map[string]string{"admin": listener.Addr().String()}
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		return err
	}
	go http.Serve(listener, nil)
	return drive(program, *rate, arguments[0] != "go-churn")
}

// Sends requests so that the program keeps as many bytes a second as it was told.
func drive(program func(request) int, rate int, leaks bool) error {
	text := []byte(strings.Repeat(`{"sku":"sku-0001","pieces":2,"price":"12.50"},`, 300))
	started := time.Now()
	served, paid := 0, 0
	for range time.Tick(tick) {
		due := int(float64(rate) * time.Since(started).Seconds())
		for paid < due {
			length := 4000 + served*7919%8000
			paid += program(request{id: served, body: append([]byte(nil), text[:length]...)})
			served++
		}
		if leaks && paid > most {
			return errors.New("it has leaked 2 GiB, which is enough: the program ends")
		}
	}
	return nil
}

// Pages by visit. No visit comes twice.
var pages = map[int]string{}

func servePage(r request) int {
	return rememberPage(r.id, r.body)
}

func rememberPage(visit int, page []byte) int {
	pages[visit] = string(page)
	return len(page)
}

// Nobody sends to it.
var scanned = make(chan struct{})

func acceptUpload(r request) int {
	go receiveUpload(r.id, len(r.body))
	return len(r.body)
}

// Holds its buffer while the scanner works. There is no deadline, and that is the mistake.
func receiveUpload(id, size int) {
	buffer := make([]byte, size)
	for i := range buffer {
		buffer[i] = byte(id + i)
	}
	<-scanned
	os.Stderr.Write(buffer)
}

// The first bytes of each upload, by which its kind is known.
var signatures [][]byte

func indexUpload(r request) int {
	upload := readUpload(r.body)
	signatures = append(signatures, upload[:8])
	return cap(upload)
}

// Eight bytes of what this returns hold all of it.
func readUpload(body []byte) []byte {
	upload := make([]byte, len(body))
	copy(upload, body)
	return upload
}

func report(r request) int {
	fields := strings.Split(string(r.body), ",")
	return len(r.body) + len(strings.ToUpper(strings.Join(fields, ";")))
}
