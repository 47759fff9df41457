/*
 * A process whose first thread has ended while another goes on: says `ready`,
 * loads the library that it is given at the first byte of its input, says
 * `loaded`, and waits for the end of its input.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *go_on(void *passed)
{
	pthread_t *first = ((void **)passed)[0];

	pthread_join(*first, NULL);
	printf("ready %d\n", getpid());
	fflush(stdout);
	if (getchar() == EOF)
		exit(0);
	if (!dlopen(((char **)passed)[1], RTLD_NOW))
		exit(3);
	puts("loaded");
	fflush(stdout);
	while (getchar() != EOF)
		continue;
	exit(0);
}

int main(int argc, char **argv)
{
	static void *passed[2];
	static pthread_t first;
	pthread_t other;

	if (argc != 2)
		return 2;
	first = pthread_self();
	passed[0] = &first;
	passed[1] = argv[1];
	if (pthread_create(&other, NULL, go_on, passed))
		return 4;
	pthread_exit(NULL);
}
