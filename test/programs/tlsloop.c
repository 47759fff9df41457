/*
 * What a TLS write and a TLS read cost a program: two OpenSSL 3 connections in
 * one thread, joined by a pair of memory BIOs, so that no network and no
 * scheduler is in the figure. Each round is one SSL_write of SIZE bytes on one
 * side and the SSL_read of them on the other.
 *
 *   tlsloop ROUNDS SIZE CERT KEY REPORT [go]
 *
 * With `go` it waits for one byte on standard input after the handshake.
 *
 * The prototypes are declared by hand and the libraries linked by their file
 * names (-l:libssl.so.3), so that no development package is needed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;
typedef struct bio_st BIO;

extern const void *TLS_method(void);
extern SSL_CTX *SSL_CTX_new(const void *method);
extern int SSL_CTX_use_certificate_file(SSL_CTX *, const char *, int);
extern int SSL_CTX_use_PrivateKey_file(SSL_CTX *, const char *, int);
extern SSL *SSL_new(SSL_CTX *);
extern void SSL_free(SSL *);
extern void SSL_set_bio(SSL *, BIO *, BIO *);
extern void SSL_set_connect_state(SSL *);
extern void SSL_set_accept_state(SSL *);
extern int SSL_do_handshake(SSL *);
extern int SSL_write(SSL *, const void *, int);
extern int SSL_read(SSL *, void *, int);
extern int BIO_new_bio_pair(BIO **, size_t, BIO **, size_t);

#define FILETYPE_PEM 1
#define PAIR_BYTES (256 * 1024)
#define MAX_SIZE 131072
#define MAX_HANDSHAKE_STEPS 16

static int shake_hands(SSL *client, SSL *server)
{
	for (int step = 0; step < MAX_HANDSHAKE_STEPS; step++) {
		int client_done = SSL_do_handshake(client) == 1;

		if (SSL_do_handshake(server) == 1 && client_done)
			return 0;
	}
	return -1;
}

static int run_round(SSL *from, SSL *to, char *buffer, int size)
{
	int got = 0;

	if (SSL_write(from, buffer, size) != size)
		return -1;
	while (got < size) {
		int n = SSL_read(to, buffer + got, size - got);

		if (n <= 0)
			return -1;
		got += n;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static char buffer[MAX_SIZE];
	struct measure start, took;
	long long rounds;
	SSL *client, *server;
	BIO *left, *right;
	SSL_CTX *context;
	int size;
	char go;

	if (argc < 6) {
		fprintf(stderr, "usage: tlsloop ROUNDS SIZE CERT KEY REPORT [go]\n");
		return 2;
	}
	rounds = atoll(argv[1]);
	size = atoi(argv[2]);
	if (size < 1 || size > MAX_SIZE)
		return 2;
	memset(buffer, 'x', sizeof(buffer));
	context = SSL_CTX_new(TLS_method());
	if (!context || SSL_CTX_use_certificate_file(context, argv[3], FILETYPE_PEM) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, argv[4], FILETYPE_PEM) != 1)
		return 3;
	client = SSL_new(context);
	server = SSL_new(context);
	if (BIO_new_bio_pair(&left, PAIR_BYTES, &right, PAIR_BYTES) != 1)
		return 3;
	SSL_set_bio(client, left, left);
	SSL_set_bio(server, right, right);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	if (shake_hands(client, server) < 0)
		return 4;
	if (argc > 6 && read(0, &go, 1) != 1)
		return 7;

	start = start_measure();
	for (long long n = 0; n < rounds; n++)
		if (run_round(client, server, buffer, size) < 0)
			return 5;
	took = stop_measure(start);
	SSL_free(client);
	SSL_free(server);

	return write_report(argv[5], rounds, took) == 0 ? 0 : 6;
}
