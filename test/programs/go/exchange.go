// A TLS client and server of Go's crypto/tls, for the kernel tests.
//
//	exchange post URL BODY             sends the file and reads the reply whole
//	exchange http CERT KEY BODY N      serves itself: N requests by HTTP/1.1, one connection each
//	exchange http2 CERT KEY BODY N     N requests over one HTTP/2 connection, at the same time
//	exchange stack CERT KEY            a server that reads into a buffer on its stack, which grows meanwhile
package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

func main() {
	log.SetFlags(0)
	switch os.Args[1] {
	case "post":
		before := runtime.NumGoroutine()
		post(client(false), os.Args[2], read(os.Args[3]))
		// The connection is closed by goroutines of its own, which the end of main would cut short.
		for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	case "http", "http2":
		count, err := strconv.Atoi(os.Args[5])
		check(err)
		exchange(os.Args[1] == "http2", os.Args[2], os.Args[3], read(os.Args[4]), count)
	case "stack":
		stack(os.Args[2], os.Args[3])
	default:
		log.Fatal("unknown mode")
	}
}

func client(isHTTP2 bool) *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2: isHTTP2,
		DisableKeepAlives: !isHTTP2,
	}}
}

func post(client *http.Client, url string, body []byte) {
	response, err := client.Post(url, "application/octet-stream", bytes.NewReader(body))
	check(err)
	reply, err := io.ReadAll(response.Body)
	check(err)
	check(response.Body.Close())
	fmt.Println(response.Proto, len(reply))
}

func exchange(isHTTP2 bool, cert, key string, body []byte, count int) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	echo := http.HandlerFunc(func(reply http.ResponseWriter, request *http.Request) {
		received, err := io.ReadAll(request.Body)
		check(err)
		reply.Header().Set("X-Path", request.URL.Path)
		_, err = reply.Write(received)
		check(err)
	})
	go http.ServeTLS(listener, echo, cert, key)
	fmt.Println("port", listener.Addr().(*net.TCPAddr).Port)
	shared := client(isHTTP2)
	var group sync.WaitGroup
	for index := 0; index < count; index++ {
		url := fmt.Sprintf("https://%s/exchange/%d", listener.Addr(), index)
		if isHTTP2 && index == 0 {
			// One connection for all: those that come at once would each make their own.
			post(shared, url, body)
			continue
		}
		group.Add(1)
		go func() {
			defer group.Done()
			post(shared, url, body)
		}()
	}
	group.Wait()
	shared.CloseIdleConnections()
}

func stack(cert, key string) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	check(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	done := make(chan string)
	go func() {
		inner, err := listener.Accept()
		check(err)
		connection := tls.Server(inner, &tls.Config{Certificates: []tls.Certificate{pair}})
		go answer(connection, done)
	}()
	connection, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	check(err)
	_, err = connection.Write([]byte("a question"))
	check(err)
	fmt.Println(<-done)
	check(connection.Close())
}

// A goroutine begins with a stack of a few kilobytes; the handshake within Read needs more.
func answer(connection *tls.Conn, done chan string) {
	var buffer [64]byte
	length, err := connection.Read(buffer[:])
	check(err)
	done <- string(buffer[:length])
}

func read(path string) []byte {
	content, err := os.ReadFile(path)
	check(err)
	return content
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
