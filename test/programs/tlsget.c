/*
 * A short HTTPS client: one GET on one connection, the answer read to its end.
 * Nothing is verified. Exit code 0 when an answer came.
 *
 *   tlsget PORT PATH
 *
 * Linked statically it is a program with a TLS library inside that nobody has
 * seen before. The prototypes are declared by hand, as in tlsloop.c.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;

extern const void *TLS_client_method(void);
extern SSL_CTX *SSL_CTX_new(const void *method);
extern SSL *SSL_new(SSL_CTX *);
extern int SSL_set_fd(SSL *, int);
extern int SSL_connect(SSL *);
extern int SSL_write(SSL *, const void *, int);
extern int SSL_read(SSL *, void *, int);
extern void SSL_free(SSL *);

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char text[4096];
	int fd, length, got, all = 0;
	SSL *ssl;

	if (argc != 3)
		return 2;
	address.sin_port = htons(atoi(argv[1]));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		return 3;
	ssl = SSL_new(SSL_CTX_new(TLS_client_method()));
	SSL_set_fd(ssl, fd);
	if (SSL_connect(ssl) != 1)
		return 4;
	length = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", argv[2]);
	if (SSL_write(ssl, text, length) != length)
		return 5;
	while ((got = SSL_read(ssl, text, sizeof(text))) > 0)
		all += got;
	SSL_free(ssl);
	return all > 0 ? 0 : 6;
}
