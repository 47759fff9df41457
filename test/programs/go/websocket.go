// A WebSocket server of gorilla/websocket and a client of it in one process, which talk: numbered messages of many sizes,
// some in fragments, binary ones, pings, then a close. What each end sent goes to FOLDER/said.json.
//
//	websocket FOLDER tls|plain whole|deflate SECRET     cert.pem and key.pem are in FOLDER
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"math/rand"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/gorilla/websocket"
)

const (
	messages = 60
	// What is longer goes in several frames.
	frameBytes = 16 * 1024
)

// An end of the connection, and what it has sent: opcode and text.
type end struct {
	socket *websocket.Conn
	said   [][2]string
}

func main() {
	log.SetFlags(0)
	folder, isDeflated, secret := os.Args[1], os.Args[3] == "deflate", os.Args[4]
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	url := fmt.Sprintf("ws://localhost:%d/talk", listener.Addr().(*net.TCPAddr).Port)
	cert, key := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	trusted := x509.NewCertPool()
	if os.Args[2] == "tls" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		check(err)
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}})
		url = "wss" + url[len("ws"):]
		pem, err := os.ReadFile(cert)
		check(err)
		trusted.AppendCertsFromPEM(pem)
	}

	server := &end{}
	served := make(chan struct{})
	go http.Serve(listener, http.HandlerFunc(func(reply http.ResponseWriter, request *http.Request) {
		upgrader := websocket.Upgrader{EnableCompression: isDeflated, WriteBufferSize: frameBytes}
		socket, err := upgrader.Upgrade(reply, request, nil)
		check(err)
		server.socket = socket
		server.answer()
		close(served)
	}))

	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: trusted}, EnableCompression: isDeflated, WriteBufferSize: frameBytes}
	socket, _, err := dialer.Dial(url, nil)
	check(err)
	client := &end{socket: socket}
	client.talk(secret)
	<-served
	client.close()
	server.close()
	record, err := json.Marshal(map[string][][2]string{"client": client.said, "server": server.said})
	check(err)
	check(os.WriteFile(filepath.Join(folder, "said.json"), record, 0o600))
}

func (e *end) talk(secret string) {
	for number := 0; number < messages; number++ {
		if number%7 == 3 {
			e.control(websocket.PingMessage, "ping", fmt.Sprint("ping ", number))
		}
		kind := websocket.TextMessage
		if number%4 == 1 {
			kind = websocket.BinaryMessage
		}
		text := textOf(number, secret)
		e.say(kind, text)
		_, answer, err := e.socket.ReadMessage()
		check(err)
		if string(answer) != "heard "+text {
			log.Fatal("another answer to message ", number)
		}
	}
	e.said = append(e.said, [2]string{"close", "1000 enough"})
	check(e.socket.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, "enough"), soon()))
	if _, _, err := e.socket.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		log.Fatal("no close, but ", err)
	}
}

func (e *end) answer() {
	e.socket.SetPingHandler(func(text string) error {
		e.control(websocket.PongMessage, "pong", text)
		return nil
	})
	e.socket.SetCloseHandler(func(code int, text string) error {
		e.said = append(e.said, [2]string{"close", fmt.Sprint(code, " ", text)})
		return e.socket.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, text), soon())
	})
	for {
		kind, text, err := e.socket.ReadMessage()
		if websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			return
		}
		check(err)
		e.say(kind, "heard "+string(text))
	}
}

func (e *end) say(kind int, text string) {
	name := "text"
	if kind == websocket.BinaryMessage {
		name = "binary"
	}
	e.said = append(e.said, [2]string{name, text})
	check(e.socket.WriteMessage(kind, []byte(text)))
}

func (e *end) control(kind int, name, text string) {
	e.said = append(e.said, [2]string{name, text})
	check(e.socket.WriteControl(kind, []byte(text), soon()))
}

// Ends the TLS connection below too.
func (e *end) close() {
	check(e.socket.Close())
}

// Every sixth holds the secret; every fifth has, compressed or not, more than a frame.
func textOf(number int, secret string) string {
	text := fmt.Sprint("message ", number, " é ")
	if number%6 == 2 {
		text += fmt.Sprintf(`{"api_key":"%s"} `, secret)
	}
	digits := number
	switch number % 5 {
	case 0:
		digits = 45_000
	case 1:
		digits = 25_000
	}
	random := rand.New(rand.NewSource(int64(number)))
	for i := 0; i < digits/10; i++ {
		text += fmt.Sprintf("%09x ", random.Int63n(1<<36))
	}
	return text
}

func soon() time.Time {
	return time.Now().Add(time.Minute)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
