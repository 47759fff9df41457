// A server and a client of Go's net/http, with what they say happened; see servers.mjs.
//
//	servers serve FOLDER                     tells its port on standard output, ends with its standard input
//	servers ask CERT ORIGIN 1.1|2 NAME
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
)

const largeBytes = 200000

func main() {
	log.SetFlags(0)
	switch os.Args[1] {
	case "serve":
		serve(os.Args[2])
	case "ask":
		ask(os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	default:
		log.Fatal("unknown mode")
	}
}

func serve(folder string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	file, err := os.OpenFile(folder+"/server.log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0600)
	check(err)
	var lock sync.Mutex
	answer := http.HandlerFunc(func(reply http.ResponseWriter, request *http.Request) {
		_, err := io.Copy(io.Discard, request.Body)
		check(err)
		status, body := http.StatusOK, "small\n"
		switch request.URL.Path {
		case "/small":
		case "/large":
			body = strings.Repeat("y", largeBytes)
		default:
			status, body = http.StatusNotFound, "missing\n"
		}
		reply.Header().Set("Content-Length", fmt.Sprint(len(body)))
		reply.WriteHeader(status)
		if request.Method == http.MethodHead {
			body = ""
		}
		sent, err := io.WriteString(reply, body)
		check(err)
		lock.Lock()
		defer lock.Unlock()
		fmt.Fprintln(file, request.Method, request.URL.RequestURI(), status, sent, version(request.ProtoMajor))
	})
	go http.ServeTLS(listener, answer, folder+"/cert.pem", folder+"/key.pem")
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	_, err = io.Copy(io.Discard, os.Stdin)
	check(err)
}

func ask(certificate, origin, protocol, name string) {
	pem, err := os.ReadFile(certificate)
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: protocol == "2"}}
	for _, each := range [][]string{{"GET", "/small"}, {"GET", "/large"}, {"POST", "/small"}, {"HEAD", "/large"}, {"GET", "/missing"}} {
		target := each[1] + "?" + name
		var body io.Reader
		if each[0] == "POST" {
			body = strings.NewReader(strings.Repeat("x", 50))
		}
		request, err := http.NewRequest(each[0], origin+target, body)
		check(err)
		response, err := client.Do(request)
		check(err)
		count, err := io.Copy(io.Discard, response.Body)
		check(err)
		check(response.Body.Close())
		fmt.Println(each[0], target, response.StatusCode, count, version(response.ProtoMajor))
	}
	client.CloseIdleConnections()
}

func version(major int) string {
	if major == 2 {
		return "2"
	}
	return "1.1"
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
