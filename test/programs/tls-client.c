/*
 * One request over TLS with OpenSSL, read and written through the _ex functions
 * or the plain ones:
 *
 *     tls-client PORT ex|plain
 *
 * Sends a request for /hello, reads until the server closes, and tells how many
 * bytes the answer had. Says whom it wants (SNI) and in which protocol (ALPN).
 * Built with OpenSSL inside, stripped or not, or linked to one of any version
 * since 1.1.1.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char kRequest[] = "GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

static const unsigned char kProtocols[] = "\x08http/1.1";

static int fail(const char *what)
{
	fprintf(stderr, "tls-client: %s failed\n", what);
	return 1;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	const int is_ex = argc == 3 && strcmp(argv[2], "ex") == 0;
	static char buffer[16384];
	size_t total = 0, part = 0;
	SSL_CTX *context;
	int fd;
	SSL *ssl;

	if (argc != 3)
		return fail("reading the arguments");
	address.sin_port = htons(atoi(argv[1]));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		return fail("connect");
	context = SSL_CTX_new(TLS_client_method());
	ssl = SSL_new(context);
	SSL_set_fd(ssl, fd);
	SSL_set_tlsext_host_name(ssl, "localhost");
	SSL_set_alpn_protos(ssl, kProtocols, sizeof(kProtocols) - 1);
	if (SSL_connect(ssl) != 1)
		return fail("the handshake");
	if (is_ex ? SSL_write_ex(ssl, kRequest, sizeof(kRequest) - 1, &part) != 1 : SSL_write(ssl, kRequest, sizeof(kRequest) - 1) <= 0)
		return fail("the write");
	for (;;) {
		const int result = is_ex ? SSL_read_ex(ssl, buffer, sizeof(buffer), &part) : SSL_read(ssl, buffer, sizeof(buffer));

		if (result <= 0)
			break;
		total += is_ex ? part : (size_t)result;
	}
	printf("%zu\n", total);
	SSL_free(ssl);
	return 0;
}
