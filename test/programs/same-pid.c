/*
 * A pid that comes again: one child ends with exit code 3, and the next one,
 * which gets the same pid by clone3(2) with set_tid, with 4.
 *
 *     same-pid
 *
 * Should somebody else take the pid in between, another pair is tried; exits
 * with 1 when none came about. Needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE.
 */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A busy machine hands out a few pids in between; so many times in a row it does not. */
#define PAIRS_MAX 100

static void run(const char *code)
{
	execl("/bin/sh", "sh", "-c", code, (char *)0);
	_exit(127);
}

static pid_t fork_as(pid_t pid)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = (uint64_t)(uintptr_t)&pid,
		.set_tid_size = 1,
	};

	return syscall(SYS_clone3, &args, sizeof(args));
}

/* In clock ticks, as /proc tells when a process began: two within one have one name. */
static long long ticks(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 100LL + now.tv_nsec / 10000000;
}

int main(void)
{
	for (int pair = 0; pair < PAIRS_MAX; pair++) {
		const pid_t first = fork();
		pid_t second;

		if (first == 0)
			run("exit 3");
		waitpid(first, NULL, 0);
		for (const long long ended = ticks(); ticks() <= ended;)
			usleep(1000);
		second = fork_as(first);
		if (second == 0)
			run("exit 4");
		if (second < 0)
			continue;
		waitpid(second, NULL, 0);
		return second == first ? 0 : 1;
	}
	return 1;
}
