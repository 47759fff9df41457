/* SPDX-License-Identifier: MIT */
/*
 * System calls that move bytes through a descriptor: which way, and where
 * their arguments say that the bytes are.
 */
#ifndef AGENTSIGHT_STDIO_CALLS_BPF_H
#define AGENTSIGHT_STDIO_CALLS_BPF_H

#include "messages.bpf.h"
#include "syscall.bpf.h"

#if defined(__TARGET_ARCH_x86)
enum {
	SYSCALL_READ = 0, SYSCALL_WRITE = 1, SYSCALL_PREAD64 = 17, SYSCALL_PWRITE64 = 18, SYSCALL_READV = 19,
	SYSCALL_WRITEV = 20, SYSCALL_SENDFILE = 40, SYSCALL_SENDTO = 44, SYSCALL_RECVFROM = 45, SYSCALL_SENDMSG = 46,
	SYSCALL_RECVMSG = 47, SYSCALL_SPLICE = 275, SYSCALL_TEE = 276, SYSCALL_VMSPLICE = 278, SYSCALL_PREADV = 295,
	SYSCALL_PWRITEV = 296, SYSCALL_RECVMMSG = 299, SYSCALL_SENDMMSG = 307, SYSCALL_PREADV2 = 327, SYSCALL_PWRITEV2 = 328,
};
#else
enum {
	SYSCALL_READ = 63, SYSCALL_WRITE = 64, SYSCALL_PREAD64 = 67, SYSCALL_PWRITE64 = 68, SYSCALL_READV = 65,
	SYSCALL_WRITEV = 66, SYSCALL_SENDFILE = 71, SYSCALL_SENDTO = 206, SYSCALL_RECVFROM = 207, SYSCALL_SENDMSG = 211,
	SYSCALL_RECVMSG = 212, SYSCALL_SPLICE = 76, SYSCALL_TEE = 77, SYSCALL_VMSPLICE = 75, SYSCALL_PREADV = 69,
	SYSCALL_PWRITEV = 70, SYSCALL_RECVMMSG = 243, SYSCALL_SENDMMSG = 269, SYSCALL_PREADV2 = 286, SYSCALL_PWRITEV2 = 287,
};
#endif

#define MSG_PEEK 0x2
#define MSG_ERRQUEUE 0x2000

enum {
	MOVES_BUFFER = 1,	/* fd, buffer, size */
	MOVES_VECTOR = 2,	/* fd, iovecs, their number */
	MOVES_MESSAGE = 3,	/* fd, msghdr */
	MOVES_MESSAGES = 4,	/* fd, mmsghdrs */
	MOVES_WITHIN_KERNEL = 5, /* from one descriptor to another */
	MOVES_SHAPE = 0x7,
	MOVES_OUT = 0x08,	/* a write */
	BY_MODE = 0x10,		/* a write where the descriptor is for writing */
	FLAGS_THIRD = 0x20,	/* which argument holds MSG_* flags */
	FLAGS_FOURTH = 0x40,
	TO_FIRST = 0x80,	/* within the kernel: from the second descriptor to the first */
	TO_SECOND = 0x100,	/* from the first to the second */
	TO_THIRD = 0x200,	/* from the first to the third argument */
	KEEPS_SOURCE = 0x400,	/* what is copied stays to be read */
};

/* 0: none of them. */
static __always_inline __u32 kind_of_call(__u64 number)
{
	switch (number) {
	case SYSCALL_READ:
	case SYSCALL_PREAD64:
		return MOVES_BUFFER;
	case SYSCALL_WRITE:
	case SYSCALL_PWRITE64:
	case SYSCALL_SENDTO:
		return MOVES_BUFFER | MOVES_OUT;
	case SYSCALL_RECVFROM:
		return MOVES_BUFFER | FLAGS_FOURTH;
	case SYSCALL_READV:
	case SYSCALL_PREADV:
	case SYSCALL_PREADV2:
		return MOVES_VECTOR;
	case SYSCALL_WRITEV:
	case SYSCALL_PWRITEV:
	case SYSCALL_PWRITEV2:
		return MOVES_VECTOR | MOVES_OUT;
	case SYSCALL_VMSPLICE:
		return MOVES_VECTOR | BY_MODE;
	case SYSCALL_RECVMSG:
		return MOVES_MESSAGE | FLAGS_THIRD;
	case SYSCALL_SENDMSG:
		return MOVES_MESSAGE | MOVES_OUT;
	case SYSCALL_RECVMMSG:
		return MOVES_MESSAGES | FLAGS_FOURTH;
	case SYSCALL_SENDMMSG:
		return MOVES_MESSAGES | MOVES_OUT;
	case SYSCALL_SENDFILE:
		return MOVES_WITHIN_KERNEL | TO_FIRST;
	case SYSCALL_SPLICE:
		return MOVES_WITHIN_KERNEL | TO_THIRD;
	case SYSCALL_TEE:
		return MOVES_WITHIN_KERNEL | TO_SECOND | KEEPS_SOURCE;
	default:
		return 0;
	}
}

/* Bytes that are only looked at come again. */
static __always_inline bool is_peek(struct pt_regs *regs, __u32 kind)
{
	__u64 flags = 0;

	if (kind & FLAGS_THIRD)
		flags = SYSCALL_ARGUMENT_2(regs);
	else if (kind & FLAGS_FOURTH)
		flags = SYSCALL_ARGUMENT_3(regs);
	return flags & (MSG_PEEK | MSG_ERRQUEUE);
}

/* The descriptors of a movement within the kernel. */
static __always_inline __u64 left_out_write(struct pt_regs *regs, __u32 kind)
{
	if (kind & TO_FIRST)
		return SYSCALL_ARGUMENT_0(regs);
	return kind & TO_SECOND ? SYSCALL_ARGUMENT_1(regs) : SYSCALL_ARGUMENT_2(regs);
}

static __always_inline __u64 left_out_read(struct pt_regs *regs, __u32 kind)
{
	return kind & TO_FIRST ? SYSCALL_ARGUMENT_1(regs) : SYSCALL_ARGUMENT_0(regs);
}

#endif
