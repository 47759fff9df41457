/* SPDX-License-Identifier: MIT */
/*
 * Which system calls touch files, and what their arguments mean: from a number
 * to one of few kinds, from a kind to a request.
 */
#ifndef AGENTSIGHT_FILE_CALLS_BPF_H
#define AGENTSIGHT_FILE_CALLS_BPF_H

#include "syscall.bpf.h"

#define AT_FDCWD (-100)
#define AT_SYMLINK_NOFOLLOW 0x100
#define AT_REMOVEDIR 0x200
#define AT_EMPTY_PATH 0x1000
#define O_CREAT 0100
/* What creat(2) means. */
#define CREAT_FLAGS (01 | O_CREAT | 01000)
/* chmod and open look at no other bits. */
#define PERMISSION_BITS 07777

/* Those with the same arguments are one kind. */
enum file_call {
	CALL_NONE,
	CALL_READ,
	CALL_WRITE,
	CALL_SENDFILE,
	CALL_COPY_RANGE,
	CALL_CLOSE,
	CALL_DUP2,
	CALL_OPEN,
	CALL_OPENAT,
	CALL_OPENAT2,
	CALL_CREAT,
	CALL_TRUNCATE,
	CALL_FTRUNCATE,
	CALL_RENAME,
	CALL_RENAMEAT,
	CALL_LINK,
	CALL_LINKAT,
	CALL_SYMLINK,
	CALL_SYMLINKAT,
	CALL_UNLINK,
	CALL_UNLINKAT,
	CALL_MKDIR,
	CALL_MKDIRAT,
	CALL_RMDIR,
	CALL_CHMOD,
	CALL_FCHMOD,
	CALL_FCHMODAT,
	CALL_CHOWN,
	CALL_LCHOWN,
	CALL_FCHOWN,
	CALL_FCHOWNAT,
};

#define CALL_NUMBERS 512
/* The same on every machine since they were added. */
#define SYSCALL_FCHMODAT2 452

#if defined(__TARGET_ARCH_x86)
#define SYSCALL_RENAMEAT2 316

static const __u8 calls[CALL_NUMBERS] = {
	[0] = CALL_READ, [17] = CALL_READ, [19] = CALL_READ, [295] = CALL_READ, [327] = CALL_READ,
	[1] = CALL_WRITE, [18] = CALL_WRITE, [20] = CALL_WRITE, [296] = CALL_WRITE, [328] = CALL_WRITE,
	[40] = CALL_SENDFILE, [275] = CALL_COPY_RANGE, [326] = CALL_COPY_RANGE,
	[3] = CALL_CLOSE, [33] = CALL_DUP2, [292] = CALL_DUP2,
	[2] = CALL_OPEN, [257] = CALL_OPENAT, [437] = CALL_OPENAT2, [85] = CALL_CREAT,
	[76] = CALL_TRUNCATE, [77] = CALL_FTRUNCATE,
	[82] = CALL_RENAME, [264] = CALL_RENAMEAT, [316] = CALL_RENAMEAT,
	[86] = CALL_LINK, [265] = CALL_LINKAT, [88] = CALL_SYMLINK, [266] = CALL_SYMLINKAT,
	[87] = CALL_UNLINK, [263] = CALL_UNLINKAT, [83] = CALL_MKDIR, [258] = CALL_MKDIRAT, [84] = CALL_RMDIR,
	[90] = CALL_CHMOD, [91] = CALL_FCHMOD, [268] = CALL_FCHMODAT, [452] = CALL_FCHMODAT,
	[92] = CALL_CHOWN, [94] = CALL_LCHOWN, [93] = CALL_FCHOWN, [260] = CALL_FCHOWNAT,
};

/* The same in the ABI of i386: open, creat, openat, openat2, read, write, unlink, rename, mkdir and their like. */
static const __u8 compat_calls[CALL_NUMBERS] = {
	[3] = 1, [4] = 1, [5] = 1, [8] = 1, [9] = 1, [10] = 1, [15] = 1, [16] = 1, [38] = 1, [39] = 1, [40] = 1, [83] = 1,
	[92] = 1, [93] = 1, [94] = 1, [95] = 1, [145] = 1, [146] = 1, [180] = 1, [181] = 1, [182] = 1, [187] = 1,
	[193] = 1, [194] = 1, [198] = 1, [207] = 1, [212] = 1, [239] = 1, [295] = 1, [296] = 1, [298] = 1, [301] = 1,
	[302] = 1, [303] = 1, [304] = 1, [306] = 1, [313] = 1, [333] = 1, [334] = 1, [353] = 1, [377] = 1, [378] = 1,
	[379] = 1, [437] = 1, [452] = 1,
};
#else
#define SYSCALL_RENAMEAT2 276

static const __u8 calls[CALL_NUMBERS] = {
	[63] = CALL_READ, [65] = CALL_READ, [67] = CALL_READ, [69] = CALL_READ, [286] = CALL_READ,
	[64] = CALL_WRITE, [66] = CALL_WRITE, [68] = CALL_WRITE, [70] = CALL_WRITE, [287] = CALL_WRITE,
	[71] = CALL_SENDFILE, [76] = CALL_COPY_RANGE, [285] = CALL_COPY_RANGE,
	[57] = CALL_CLOSE, [24] = CALL_DUP2,
	[56] = CALL_OPENAT, [437] = CALL_OPENAT2,
	[45] = CALL_TRUNCATE, [46] = CALL_FTRUNCATE,
	[38] = CALL_RENAMEAT, [276] = CALL_RENAMEAT, [37] = CALL_LINKAT, [36] = CALL_SYMLINKAT,
	[35] = CALL_UNLINKAT, [34] = CALL_MKDIRAT,
	[52] = CALL_FCHMOD, [53] = CALL_FCHMODAT, [452] = CALL_FCHMODAT, [55] = CALL_FCHOWN, [54] = CALL_FCHOWNAT,
};

/* The same in the ABI of 32-bit ARM. */
static const __u8 compat_calls[CALL_NUMBERS] = {
	[3] = 1, [4] = 1, [5] = 1, [8] = 1, [9] = 1, [10] = 1, [15] = 1, [16] = 1, [38] = 1, [39] = 1, [40] = 1, [83] = 1,
	[92] = 1, [93] = 1, [94] = 1, [95] = 1, [145] = 1, [146] = 1, [180] = 1, [181] = 1, [182] = 1, [187] = 1,
	[193] = 1, [194] = 1, [198] = 1, [207] = 1, [212] = 1, [239] = 1, [322] = 1, [323] = 1, [325] = 1, [328] = 1,
	[329] = 1, [330] = 1, [331] = 1, [333] = 1, [340] = 1, [361] = 1, [362] = 1, [382] = 1, [391] = 1, [392] = 1,
	[393] = 1, [437] = 1, [452] = 1,
};
#endif

/* openat2(2)'s struct open_how. */
struct open_how {
	__u64 flags;
	__u64 mode;
	__u64 resolve;
};

/* A change as it was asked for. Pointers are the program's own. */
struct request {
	__u64 path;
	__u64 target;
	__u64 length;
	__s32 dirfd;		/* path is relative to it, or it is the file itself where path is 0 */
	__s32 target_dirfd;
	__u32 flags;
	__u32 at_flags;
	__u32 mode;
	__u32 uid;
	__u32 gid;
	__u8 change;		/* enum file_change_kind */
	__u8 target_is_text;	/* what a symbolic link says: no path of ours */
};

static __always_inline void read_open(struct request *request, __u64 path, __u32 flags, __u32 mode)
{
	request->change = FILE_OPEN;
	request->path = path;
	request->flags = flags;
	request->mode = mode & PERMISSION_BITS;
}

static __always_inline void read_two(struct request *request, __u8 change, __u64 path, __u64 target)
{
	request->change = change;
	request->path = path;
	request->target = target;
}

/* false: not a call that changes anything. */
static __always_inline bool read_request(struct request *request, __u32 call, struct pt_regs *regs)
{
	__u64 first = SYSCALL_ARGUMENT_0(regs);
	__u64 second = SYSCALL_ARGUMENT_1(regs);
	__u64 third = SYSCALL_ARGUMENT_2(regs);
	__u64 fourth = SYSCALL_ARGUMENT_3(regs);
	__u64 fifth = SYSCALL_ARGUMENT_4(regs);
	struct open_how how = {};

	request->dirfd = AT_FDCWD;
	request->target_dirfd = AT_FDCWD;
	request->uid = -1;
	request->gid = -1;
	switch (call) {
	case CALL_OPEN:
		read_open(request, first, second, third);
		return true;
	case CALL_CREAT:
		read_open(request, first, CREAT_FLAGS, second);
		return true;
	case CALL_OPENAT:
		request->dirfd = first;
		read_open(request, second, third, fourth);
		return true;
	case CALL_OPENAT2:
		bpf_probe_read_user(&how, sizeof(how), (const void *)third);
		request->dirfd = first;
		read_open(request, second, how.flags, how.mode);
		return true;
	case CALL_TRUNCATE:
		request->change = FILE_TRUNCATE;
		request->path = first;
		request->length = second;
		return true;
	case CALL_FTRUNCATE:
		request->change = FILE_TRUNCATE;
		request->dirfd = first;
		request->length = second;
		return true;
	case CALL_RENAME:
		read_two(request, FILE_RENAME, first, second);
		return true;
	case CALL_RENAMEAT:
		request->dirfd = first;
		request->target_dirfd = third;
		/* renameat(2) has no flags: its fifth register holds anything. */
		request->flags = syscall_number(regs) == SYSCALL_RENAMEAT2 ? fifth : 0;
		read_two(request, FILE_RENAME, second, fourth);
		return true;
	case CALL_LINK:
		read_two(request, FILE_LINK, first, second);
		return true;
	case CALL_LINKAT:
		request->dirfd = first;
		request->target_dirfd = third;
		request->at_flags = fifth;
		read_two(request, FILE_LINK, second, fourth);
		return true;
	case CALL_SYMLINK:
		request->target_is_text = 1;
		read_two(request, FILE_SYMLINK, second, first);
		return true;
	case CALL_SYMLINKAT:
		request->dirfd = second;
		request->target_is_text = 1;
		read_two(request, FILE_SYMLINK, third, first);
		return true;
	case CALL_UNLINK:
		read_two(request, FILE_UNLINK, first, 0);
		return true;
	case CALL_UNLINKAT:
		request->dirfd = first;
		read_two(request, third & AT_REMOVEDIR ? FILE_RMDIR : FILE_UNLINK, second, 0);
		return true;
	case CALL_RMDIR:
		read_two(request, FILE_RMDIR, first, 0);
		return true;
	case CALL_MKDIR:
		read_two(request, FILE_MKDIR, first, 0);
		request->mode = second & PERMISSION_BITS;
		return true;
	case CALL_MKDIRAT:
		request->dirfd = first;
		read_two(request, FILE_MKDIR, second, 0);
		request->mode = third & PERMISSION_BITS;
		return true;
	case CALL_CHMOD:
		read_two(request, FILE_CHMOD, first, 0);
		request->mode = second & PERMISSION_BITS;
		return true;
	case CALL_FCHMOD:
		request->dirfd = first;
		request->change = FILE_CHMOD;
		request->mode = second & PERMISSION_BITS;
		return true;
	case CALL_FCHMODAT:
		request->dirfd = first;
		read_two(request, FILE_CHMOD, second, 0);
		request->mode = third & PERMISSION_BITS;
		request->at_flags = syscall_number(regs) == SYSCALL_FCHMODAT2 ? fourth : 0;
		return true;
	case CALL_LCHOWN:
		request->at_flags = AT_SYMLINK_NOFOLLOW;
		__attribute__((fallthrough));
	case CALL_CHOWN:
		read_two(request, FILE_CHOWN, first, 0);
		request->uid = second;
		request->gid = third;
		return true;
	case CALL_FCHOWN:
		request->dirfd = first;
		request->change = FILE_CHOWN;
		request->uid = second;
		request->gid = third;
		return true;
	case CALL_FCHOWNAT:
		request->dirfd = first;
		read_two(request, FILE_CHOWN, second, 0);
		request->uid = third;
		request->gid = fourth;
		request->at_flags = fifth;
		return true;
	default:
		return false;
	}
}

#endif
