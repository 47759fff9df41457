// As tlsloop.c, with crypto/tls: two connections in one goroutine over loopback.
//
//	loop ROUNDS SIZE CERT KEY REPORT
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

func cpuNs() int64 {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return usage.Utime.Nano() + usage.Stime.Nano()
}

// Both ends of one connection, after their handshakes.
func connect(certificate tls.Certificate) (client, server *tls.Conn) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	accepted := make(chan *tls.Conn)
	go func() {
		conn, err := listener.Accept()
		must(err)
		server := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}})
		must(server.Handshake())
		accepted <- server
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	must(err)
	client = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	must(client.Handshake())
	return client, <-accepted
}

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: loop ROUNDS SIZE CERT KEY REPORT")
		os.Exit(2)
	}
	rounds, err := strconv.Atoi(os.Args[1])
	must(err)
	size, err := strconv.Atoi(os.Args[2])
	must(err)
	certificate, err := tls.LoadX509KeyPair(os.Args[3], os.Args[4])
	must(err)
	client, server := connect(certificate)
	buffer := make([]byte, size)

	start, used := time.Now(), cpuNs()
	for n := 0; n < rounds; n++ {
		_, err := client.Write(buffer)
		must(err)
		_, err = io.ReadFull(server, buffer)
		must(err)
	}
	wall := time.Since(start).Nanoseconds()
	used = cpuNs() - used
	report := fmt.Sprintf("{\"count\":%d,\"wallNs\":%d,\"cpuNs\":%d}\n", rounds, wall, used)
	must(os.WriteFile(os.Args[5], []byte(report), 0o600))
}
