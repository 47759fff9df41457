/*
 * As tlsloop.c, with GnuTLS: two sessions in one thread over a socket pair,
 * without certificates (anonymous ECDH).
 *
 *   gnutlsloop ROUNDS SIZE REPORT
 */
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <fcntl.h>

#include "measure.h"

#define MAX_SIZE 16384
#define PRIORITY "NORMAL:-VERS-TLS-ALL:+VERS-TLS1.2:+ANON-ECDH"

static int open_session(gnutls_session_t *session, unsigned int flags, int fd)
{
	gnutls_anon_client_credentials_t client;
	gnutls_anon_server_credentials_t server;

	if (gnutls_init(session, flags) || gnutls_priority_set_direct(*session, PRIORITY, NULL))
		return -1;
	if (flags & GNUTLS_CLIENT) {
		gnutls_anon_allocate_client_credentials(&client);
		gnutls_credentials_set(*session, GNUTLS_CRD_ANON, client);
	} else {
		gnutls_anon_allocate_server_credentials(&server);
		gnutls_credentials_set(*session, GNUTLS_CRD_ANON, server);
	}
	gnutls_transport_set_int(*session, fd);
	return fcntl(fd, F_SETFL, O_NONBLOCK);
}

static int shake_hands(gnutls_session_t client, gnutls_session_t server)
{
	int left = GNUTLS_E_AGAIN, right = GNUTLS_E_AGAIN;

	while (left != 0 || right != 0) {
		if (left != 0 && (left = gnutls_handshake(client)) < 0 && gnutls_error_is_fatal(left))
			return left;
		if (right != 0 && (right = gnutls_handshake(server)) < 0 && gnutls_error_is_fatal(right))
			return right;
	}
	return 0;
}

static int run_round(gnutls_session_t from, gnutls_session_t to, char *buffer, int size)
{
	int got = 0;

	if (gnutls_record_send(from, buffer, size) != size)
		return -1;
	while (got < size) {
		ssize_t n = gnutls_record_recv(to, buffer + got, size - got);

		if (n <= 0)
			return -1;
		got += n;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static char buffer[MAX_SIZE];
	gnutls_session_t client, server;
	struct measure start, took;
	long long rounds;
	int fds[2], size;

	if (argc != 4) {
		fprintf(stderr, "usage: gnutlsloop ROUNDS SIZE REPORT\n");
		return 2;
	}
	rounds = atoll(argv[1]);
	size = atoi(argv[2]);
	if (size < 1 || size > MAX_SIZE || socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		return 2;
	memset(buffer, 'x', sizeof(buffer));
	if (open_session(&client, GNUTLS_CLIENT, fds[0]) || open_session(&server, GNUTLS_SERVER, fds[1]))
		return 3;
	if (shake_hands(client, server))
		return 4;

	start = start_measure();
	for (long long n = 0; n < rounds; n++)
		if (run_round(client, server, buffer, size) < 0)
			return 5;
	took = stop_measure(start);

	return write_report(argv[3], rounds, took) == 0 ? 0 : 6;
}
