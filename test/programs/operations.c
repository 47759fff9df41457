/*
 * Does one thing COUNT times, and says what that took.
 *
 *   operations KIND COUNT REPORT DIRECTORY
 *
 * KIND: process (fork, exec of /bin/true, wait), stdio (a write of 64 bytes to
 * standard output), file (open, write, close), open (open and close of a file
 * that is not there), connect (connect, accept and both closes, on loopback).
 * REPORT gets one line of JSON at the end; its processor time is this
 * process's and its children's.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char path[4096];
static char missing[4096];
static int listener;
static struct sockaddr_in address;

static long long wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long used_ns(int who)
{
	struct rusage usage;

	getrusage(who, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000LL +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000LL;
}

static int run_process(void)
{
	int status;
	pid_t pid = vfork();

	if (pid == 0) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static int write_output(void)
{
	static const char line[64] = "the quick brown fox jumps over the lazy dog, and does so again\n";

	return write(1, line, sizeof(line)) == sizeof(line) ? 0 : -1;
}

static int write_file(void)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	if (fd < 0 || write(fd, "text", 4) != 4)
		return -1;
	return close(fd);
}

static int open_missing(void)
{
	return open(missing, O_RDONLY) < 0 ? 0 : -1;
}

static int listen_here(void)
{
	socklen_t len = sizeof(address);

	listener = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 16))
		return -1;
	return getsockname(listener, (struct sockaddr *)&address, &len);
}

static int connect_once(void)
{
	struct linger at_once = { 1, 0 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int other;

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return -1;
	other = accept(listener, NULL, NULL);
	/* Without it the ports of ended connections run out. */
	if (other < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)))
		return -1;
	return close(fd) || close(other) ? -1 : 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*once)(void);
	} kinds[] = {
		{ "process", run_process }, { "stdio", write_output }, { "file", write_file },
		{ "open", open_missing }, { "connect", connect_once },
	};
	int (*once)(void) = NULL;
	long long count, wall, cpu;
	FILE *report;

	if (argc != 5) {
		fprintf(stderr, "usage: operations KIND COUNT REPORT DIRECTORY\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(argv[1], kinds[i].name) == 0)
			once = kinds[i].once;
	count = atoll(argv[2]);
	snprintf(path, sizeof(path), "%s/operations.txt", argv[4]);
	snprintf(missing, sizeof(missing), "%s/missing.txt", argv[4]);
	if (!once || listen_here())
		return 3;

	wall = wall_ns();
	cpu = used_ns(RUSAGE_SELF) + used_ns(RUSAGE_CHILDREN);
	for (long long n = 0; n < count; n++)
		if (once())
			return 4;
	cpu = used_ns(RUSAGE_SELF) + used_ns(RUSAGE_CHILDREN) - cpu;
	wall = wall_ns() - wall;

	report = fopen(argv[3], "w");
	if (!report)
		return 5;
	fprintf(report, "{\"count\":%lld,\"wallNs\":%lld,\"cpuNs\":%lld}\n", count, wall, cpu);
	return fclose(report) == 0 ? 0 : 5;
}
