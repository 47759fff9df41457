/*
 * As tlsloop.c, with NSS, as a client alone: each round writes SIZE bytes to a
 * TLS server on loopback that sends them back, and reads them. NSS would need a
 * database for a server's certificate.
 *
 *   nssloop PORT ROUNDS SIZE REPORT
 *
 * Links -l:libssl3.so -l:libnss3.so -l:libnspr4.so. What follows is declared by
 * hand from nspr.h, nss.h and ssl.h, so that no development package is needed.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

typedef struct PRFileDesc PRFileDesc;
typedef int (*auth_certificate)(void *arg, PRFileDesc *, int check_signature, int is_server);

/* libnspr4; a PRNetAddr of IPv4 is laid out as sockaddr_in, a PRIntervalTime has 32 bits. */
extern PRFileDesc *PR_NewTCPSocket(void);
extern int PR_Connect(PRFileDesc *, const struct sockaddr_in *, unsigned int timeout);
extern int PR_Write(PRFileDesc *, const void *, int);
extern int PR_Read(PRFileDesc *, void *, int);
extern int PR_Close(PRFileDesc *);
extern int PR_GetError(void);
/* libnss3 */
extern int NSS_NoDB_Init(const char *folder);
/* libssl3 */
extern PRFileDesc *SSL_ImportFD(PRFileDesc *model, PRFileDesc *);
extern int SSL_SetURL(PRFileDesc *, const char *host);
extern int SSL_AuthCertificateHook(PRFileDesc *, auth_certificate, void *arg);
extern int SSL_ForceHandshake(PRFileDesc *);

#define NO_TIMEOUT 0xffffffffU
#define MAX_SIZE 16384

/* The certificate is our own, and who is at the other end is known. */
static int accept_any(void *arg, PRFileDesc *file, int check_signature, int is_server)
{
	(void)arg, (void)file, (void)check_signature, (void)is_server;
	return 0;
}

static PRFileDesc *open_connection(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	PRFileDesc *socket = PR_NewTCPSocket();
	PRFileDesc *file = socket ? SSL_ImportFD(NULL, socket) : NULL;

	if (!file || SSL_SetURL(file, "localhost") || SSL_AuthCertificateHook(file, accept_any, NULL))
		return NULL;
	if (PR_Connect(file, &address, NO_TIMEOUT) || SSL_ForceHandshake(file))
		return NULL;
	return file;
}

static int run_round(PRFileDesc *file, char *buffer, int size)
{
	int got = 0;

	if (PR_Write(file, buffer, size) != size)
		return -1;
	while (got < size) {
		int n = PR_Read(file, buffer + got, size - got);

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
	PRFileDesc *file;
	int size;

	if (argc != 5) {
		fprintf(stderr, "usage: nssloop PORT ROUNDS SIZE REPORT\n");
		return 2;
	}
	rounds = atoll(argv[2]);
	size = atoi(argv[3]);
	if (size < 1 || size > MAX_SIZE)
		return 2;
	memset(buffer, 'x', sizeof(buffer));
	if (NSS_NoDB_Init(NULL))
		return 3;
	file = open_connection(atoi(argv[1]));
	if (!file) {
		fprintf(stderr, "could not connect: NSPR's error %d\n", PR_GetError());
		return 4;
	}

	start = start_measure();
	for (long long n = 0; n < rounds; n++)
		if (run_round(file, buffer, size) < 0)
			return 5;
	took = stop_measure(start);
	PR_Close(file);

	return write_report(argv[4], rounds, took) == 0 ? 0 : 6;
}
