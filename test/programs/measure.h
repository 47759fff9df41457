/* What the loops of the benches and tests say at their end: how long they took. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdio.h>
#include <time.h>

struct measure {
	long long wall;
	long long cpu;
};

static inline long long now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static inline struct measure start_measure(void)
{
	return (struct measure){ .wall = now_ns(CLOCK_MONOTONIC), .cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) };
}

/* From the start until now. */
static inline struct measure stop_measure(struct measure start)
{
	return (struct measure){
		.wall = now_ns(CLOCK_MONOTONIC) - start.wall, .cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - start.cpu,
	};
}

/* 0, or -1 where the file cannot be written. */
static inline int write_report(const char *path, long long count, struct measure took)
{
	FILE *report = fopen(path, "w");

	if (!report)
		return -1;
	fprintf(report, "{\"count\":%lld,\"wallNs\":%lld,\"cpuNs\":%lld}\n", count, took.wall, took.cpu);
	return fclose(report) == 0 ? 0 : -1;
}

#endif
