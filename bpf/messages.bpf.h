/* SPDX-License-Identifier: MIT */
/* What sendmsg(2) and its kin are given: the kernel's msghdr and mmsghdr, as the program lays them out. */
#ifndef AGENTSIGHT_MESSAGES_BPF_H
#define AGENTSIGHT_MESSAGES_BPF_H

#include "kernel.h"

struct user_msghdr {
	__u64 name;
	__u32 name_len;
	__u32 padding;
	__u64 vector;
	__u64 vector_count;
	__u64 control;
	__u64 control_len;
	__u64 flags;
};

struct user_mmsghdr {
	struct user_msghdr header;
	__u32 len;
	__u32 padding;
};

#endif
