// SPDX-License-Identifier: MIT
// Moves known bytes through descriptors 0 and 1 with each system call that can, one after the other.
// `moves file PATH` on a file, `moves sockets` on a pair of sockets, `moves pipes` on pipes: the text
// of a call is its name, so that a test knows which of them it missed.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static void must(long result, long expected, const char *what)
{
	if (result == expected)
		return;
	fprintf(stderr, "%s: %ld, not %ld: %m\n", what, result, expected);
	exit(1);
}

static struct iovec split[2];

// The text in two buffers.
static struct iovec *parts(char *text, size_t len)
{
	split[0] = (struct iovec){ text, 3 };
	split[1] = (struct iovec){ text + 3, len - 3 };
	return split;
}

static void on_file(const char *path)
{
	char room[64];
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	must(dup2(fd, 0), 0, "dup2");
	must(dup2(fd, 1), 1, "dup2");
	must(pwrite(1, "pwrite64", 8, 0), 8, "pwrite64");
	must(pwritev(1, parts("pwritev", 7), 2, 8), 7, "pwritev");
	must(pwritev2(1, parts("pwritev2", 8), 2, 15, 0), 8, "pwritev2");
	must(pread(0, room, 8, 0), 8, "pread64");
	must(preadv(0, parts(room, 7), 2, 8), 7, "preadv");
	must(preadv2(0, parts(room, 8), 2, 15, 0), 8, "preadv2");
}

static void on_sockets(void)
{
	struct mmsghdr many[2] = { 0 };
	struct msghdr message = { 0 };
	char room[64], other[64];
	struct iovec first = { "sendmmsg first", 14 }, second = { "sendmmsg second", 15 };
	int pair[2];

	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0, "socketpair");
	must(dup2(pair[0], 1), 1, "dup2");
	must(dup2(pair[1], 0), 0, "dup2");
	must(sendto(1, "sendto", 6, 0, NULL, 0), 6, "sendto");
	must(recv(0, room, sizeof(room), MSG_PEEK), 6, "a look ahead");
	must(recv(0, room, sizeof(room), 0), 6, "recvfrom");
	message.msg_iov = parts("sendmsg", 7);
	message.msg_iovlen = 2;
	must(sendmsg(1, &message, 0), 7, "sendmsg");
	message.msg_iov = parts(room, 7);
	must(recvmsg(0, &message, 0), 7, "recvmsg");
	many[0].msg_hdr = (struct msghdr){ .msg_iov = &first, .msg_iovlen = 1 };
	many[1].msg_hdr = (struct msghdr){ .msg_iov = &second, .msg_iovlen = 1 };
	must(sendmmsg(1, many, 2, 0), 2, "sendmmsg");
	first = (struct iovec){ room, sizeof(room) };
	second = (struct iovec){ other, sizeof(other) };
	must(recvmmsg(0, many, 2, 0, NULL), 2, "recvmmsg");
	// A datagram longer than the room for it.
	must(write(1, "cut off", 7), 7, "write");
	must(recv(0, room, 3, MSG_TRUNC), 7, "recvfrom");
}

static void on_pipes(void)
{
	struct iovec text = { "vmsplice", 8 };
	int in[2], out[2], file = open("/etc/passwd", O_RDONLY);

	must(pipe(in), 0, "pipe");
	must(pipe(out), 0, "pipe");
	must(dup2(in[0], 0), 0, "dup2");
	must(dup2(out[1], 1), 1, "dup2");
	must(vmsplice(1, &text, 1, 0), 8, "vmsplice");
	must(sendfile(1, file, NULL, 9), 9, "sendfile");
	must(write(in[1], "0123456789", 10), 10, "write");
	must(tee(0, 1, 4, 0), 4, "tee");
	must(splice(0, NULL, 1, NULL, 10, 0), 10, "splice");
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "file") == 0)
		on_file(argv[2]);
	else if (argc == 2 && strcmp(argv[1], "sockets") == 0)
		on_sockets();
	else if (argc == 2 && strcmp(argv[1], "pipes") == 0)
		on_pipes();
	else
		return 2;
	return 0;
}
