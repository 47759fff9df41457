/*
 * Writes COUNT chunks of SIZE bytes to standard output, as fast as it goes or
 * PER_SECOND a second, and says what that took.
 *
 *   flood COUNT SIZE PER_SECOND REPORT [go]
 *
 * PER_SECOND 0: no pause. REPORT: a file that gets one line of JSON at the end
 * (a file, because fds 0-2 are what is being watched). With `go` it waits for
 * one byte on standard input first. The chunk is printable text that no
 * redaction rule matches, ends with a newline and starts with its number.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "measure.h"

#define MAX_SIZE (1 << 20)
#define NUMBER_WIDTH 12

static void put_number(char *at, long long n)
{
	for (int i = NUMBER_WIDTH - 1; i >= 0; i--, n /= 10)
		at[i] = '0' + n % 10;
}

static int write_all(const char *data, size_t size)
{
	while (size > 0) {
		ssize_t done = write(1, data, size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		data += done;
		size -= done;
	}
	return 0;
}

/* Sleeps until chunk `n` is due; in slices of a millisecond, not per chunk. */
static void pace(long long start_ns, long long n, long long per_second)
{
	long long due = start_ns + n * 1000000000LL / per_second;
	struct timespec t = { due / 1000000000LL, due % 1000000000LL };

	if (now_ns(CLOCK_MONOTONIC) < due - 1000000)
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

int main(int argc, char **argv)
{
	static char chunk[MAX_SIZE];
	long long count, size, per_second;
	struct measure start, took;
	char go;

	if (argc < 5) {
		fprintf(stderr, "usage: flood COUNT SIZE PER_SECOND REPORT [go]\n");
		return 2;
	}
	count = atoll(argv[1]);
	size = atoll(argv[2]);
	per_second = atoll(argv[3]);
	if (size < NUMBER_WIDTH + 2 || size > MAX_SIZE)
		return 2;
	for (long long i = 0; i < size - 1; i++)
		chunk[i] = "the quick brown fox jumps over the lazy dog "[i % 44];
	chunk[NUMBER_WIDTH] = ' ';
	chunk[size - 1] = '\n';
	if (argc > 5 && read(0, &go, 1) != 1)
		return 3;

	start = start_measure();
	for (long long n = 0; n < count; n++) {
		if (per_second > 0 && n % 32 == 0)
			pace(start.wall, n, per_second);
		put_number(chunk, n);
		if (write_all(chunk, size) < 0)
			return 4;
	}
	took = stop_measure(start);

	return write_report(argv[4], count, took) == 0 ? 0 : 5;
}
