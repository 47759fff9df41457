/* SPDX-License-Identifier: MIT */
/*
 * Holds a command back until its tracer is ready: agentsight-launcher COMMAND
 * ARGS... waits for the byte 'g' on descriptor 3, then becomes the command,
 * with the same pid. When it cannot, it writes the errno as decimal text to
 * descriptor 4 and exits as a shell would: 127 not found, 126 not executable.
 * Without the byte (the tracer is gone) it exits 125.
 *
 * Started as /proc/self/fd/5, for a user who cannot reach its path, it closes
 * that descriptor: the command inherits none of ours.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { START_FD = 3, REPORT_FD = 4, OWN_FD = 5 };
#define OWN_LINK "/proc/self/fd/5"
enum { EXIT_OURS = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

/* The command starts as from a shell: what its parent's runtime ignores or blocks is not its own. */
static void restore_signals(void)
{
	struct sigaction standard;
	sigset_t none;
	int number;

	memset(&standard, 0, sizeof(standard));
	standard.sa_handler = SIG_DFL;
	for (number = 1; number < NSIG; number++)
		sigaction(number, &standard, NULL); /* refused for KILL, STOP and libc's own: as it should be */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int wait_for_start(void)
{
	char byte;
	ssize_t got;

	do {
		got = read(START_FD, &byte, 1);
	} while (got < 0 && errno == EINTR);
	return got == 1 && byte == 'g' ? 0 : -1;
}

static void report(int number)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%d", number);

	/* Nobody may listen: the exit code says it as well. */
	if (write(REPORT_FD, text, (size_t)length) < 0)
		return;
}

int main(int argc, char **argv)
{
	int failure;

	if (argc < 2) {
		fputs("usage: agentsight-launcher COMMAND [ARGUMENT]...\n", stderr);
		return EXIT_OURS;
	}
	restore_signals();
	if (strcmp(argv[0], OWN_LINK) == 0)
		close(OWN_FD);
	if (fcntl(REPORT_FD, F_SETFD, FD_CLOEXEC) < 0)
		return EXIT_OURS;
	if (wait_for_start() < 0)
		return EXIT_OURS;
	close(START_FD);
	execvp(argv[1], argv + 1);
	failure = errno;
	report(failure);
	return failure == ENOENT || failure == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}
