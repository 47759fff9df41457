/* SPDX-License-Identifier: MIT */
/*
 * Sockets of TCP that were reset instead of closed: filled by reset.bpf.c,
 * asked by whoever tells of the end of a socket or of what ran over it.
 */
#ifndef AGENTSIGHT_RESETS_BPF_H
#define AGENTSIGHT_RESETS_BPF_H

#include "socket.bpf.h"

struct reset {
	__u8 by;	/* enum tcp_reset */
	__u8 state;	/* of TCP, before it */
};

/* By inode number, of any process: whose socket it is, an interrupt cannot tell. What falls out of it was told long ago, or is told as closed. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_RESETS);
	__type(key, __u64);
	__type(value, struct reset);
} resets __weak SEC(".maps");

/* All zero where it was not reset. */
static __always_inline struct reset reset_of(__u64 inode)
{
	struct reset *known = inode == 0 ? NULL : bpf_map_lookup_elem(&resets, &inode);

	if (!known || known->by == RESET_NONE)
		return (struct reset){};
	return *known;
}

#endif
