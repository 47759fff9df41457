// SPDX-License-Identifier: MIT
// `connects COUNT`: after one byte on standard input, COUNT connections that are refused, to a port
// that this program holds and does not listen at.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int holder = socket(AF_INET, SOCK_STREAM, 0);
	char go;

	if (argc < 2 || holder < 0 || read(0, &go, 1) != 1)
		return 2;
	if (bind(holder, (struct sockaddr *)&address, size) || getsockname(holder, (struct sockaddr *)&address, &size))
		return 3;
	for (long left = atol(argv[1]); left > 0; left--) {
		int one = socket(AF_INET, SOCK_STREAM, 0);

		if (one < 0 || connect(one, (struct sockaddr *)&address, size) == 0 || errno != ECONNREFUSED)
			return 4;
		close(one);
	}
	return 0;
}
