"""A WebSocket client of the standard library alone (RFC 6455), without extensions: says what it is told, in fragments too,
waits for each answer, and closes.

   python3 websocket-client.py FOLDER PORT     cert.pem and messages.json are in FOLDER; writes what it said to spoken.json there
"""
import base64
import json
import os
import socket
import ssl
import struct
import sys

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

folder, port = sys.argv[1], int(sys.argv[2])
context = ssl.create_default_context(cafile=os.path.join(folder, 'cert.pem'))
stream = context.wrap_socket(socket.create_connection(('127.0.0.1', port)), server_hostname='localhost').makefile('rwb')
spoken = []


def send(opcode, payload, is_last=True):
    mask = os.urandom(4)
    length = len(payload)
    size = bytes([0x80 | length]) if length < 126 else bytes([0x80 | 126]) + struct.pack('>H', length) if length < 65536 else bytes([0x80 | 127]) + struct.pack('>Q', length)
    pad = (mask * (length // 4 + 1))[:length]
    masked = (int.from_bytes(payload, 'big') ^ int.from_bytes(pad, 'big')).to_bytes(length, 'big')
    stream.write(bytes([(0x80 if is_last else 0) | opcode]) + size + mask + masked)
    stream.flush()


def receive():
    whole = b''
    while True:
        first, size = stream.read(2)
        if size == 126:
            size, = struct.unpack('>H', stream.read(2))
        elif size == 127:
            size, = struct.unpack('>Q', stream.read(8))
        whole += stream.read(size)
        if first & 0x80:
            return whole


def say(number, opcode, text):
    payload = text.encode()
    spoken.append([opcode, text])
    code = BINARY if opcode == 'binary' else TEXT
    if number % 3 == 2:
        send(code, payload[:len(payload) // 2], is_last=False)
        send(0, payload[len(payload) // 2:])
    else:
        send(code, payload)
    assert receive() == b'heard ' + payload


stream.write((f'GET /talk HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
              f'Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n').encode())
stream.flush()
assert b' 101 ' in stream.readline()
while stream.readline() != b'\r\n':
    pass
with open(os.path.join(folder, 'messages.json'), encoding='utf-8') as messages:
    for number, (opcode, text) in enumerate(json.load(messages)):
        if number % 7 == 3:
            spoken.append(['ping', f'ping {number}'])
            send(PING, f'ping {number}'.encode())
            assert receive() == f'ping {number}'.encode()
        say(number, opcode, text)
spoken.append(['close', '1000 enough'])
send(CLOSE, struct.pack('>H', 1000) + b'enough')
receive()
with open(os.path.join(folder, 'spoken.json'), 'w', encoding='utf-8') as file:
    json.dump(spoken, file)
