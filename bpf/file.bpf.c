/* SPDX-License-Identifier: MIT */
/*
 * What traced processes do to files: each open and each change of a name or an
 * inode, done or failed, and the sums of what they read and write.
 *
 * One program at the end of a system call, as in stdio.bpf.c: results are known
 * there, failures among them, and a file that was opened is a file of the
 * kernel, whose path is no longer a matter of opinion. Arguments are read after
 * the kernel read them; a thread that changes them in between lies to us in
 * operations that have no file (all but a successful open).
 */
#include "file-calls.bpf.h"
#include "file-io.bpf.h"

char LICENSE[] __weak SEC("license") = "Dual MIT/GPL";

/* The kernel's FMODE_CREATED; the same bit in 6.1, 6.12 and 6.18. */
#define FMODE_CREATED 0x100000
#define EBADF 9
#define EFAULT 14
/* ERESTARTSYS and its like: the call is about to be made again. */
#define FIRST_RESTART 512

/* Base and text of one path; a NULL file is the working directory. */
static __always_inline void append_argument(struct file_scratch *scratch, __s32 dirfd, __u64 text, bool is_text,
					    __u32 at_flags, __u16 *path_len, __u16 *base_len)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 start = scratch->used;
	struct file *file;

	*path_len = text ? append_text(scratch, text) : 0;
	if (is_text || start > MAX_TEXTS_BYTES)
		return;
	if (text && *path_len == 0 && !(at_flags & AT_EMPTY_PATH))
		return;
	if (*path_len > 0 && scratch->texts[start] == '/')
		return;
	if (dirfd == AT_FDCWD) {
		*base_len = append_path(scratch, BPF_CORE_READ(task, fs, pwd.mnt), BPF_CORE_READ(task, fs, pwd.dentry));
		return;
	}
	file = file_of_fd(task, dirfd);
	if (file)
		*base_len = append_path_of_file(scratch, file);
}

/* The file that an open gave, if nobody closed it yet: its own path, and an entry for its bytes. */
static __always_inline bool append_opened(struct cpu_state *cpu, struct file_scratch *scratch, __u32 root, __s32 fd)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct descriptor key = { .tgid = task->tgid, .fd = fd };
	struct file_change *record = &scratch->change;
	struct file *file = file_of_fd(task, fd);
	struct open_file *open;
	struct inode *inode;

	if (!file)
		return false;
	record->created = (BPF_CORE_READ(file, f_mode) & FMODE_CREATED) != 0;
	record->path_len = append_path_of_file(scratch, file);
	inode = BPF_CORE_READ(file, f_inode);
	if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFREG) {
		open = adopt(cpu, task, root, &key, file, inode);
		record->file = open ? open->id : 0;
	}
	return true;
}

static __noinline void send_change(struct cpu_state *cpu, __u32 root, struct request *request, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file_scratch *scratch = take_scratch(cpu);
	struct file_change *record;
	__u64 size;

	if (!scratch)
		return;
	record = &scratch->change;
	__builtin_memset(record, 0, sizeof(*record));
	fill_header(&record->header, RECORD_FILE_CHANGE, task, root);
	record->change = request->change;
	record->result = result;
	record->flags = request->flags;
	record->at_flags = request->at_flags;
	record->mode = request->mode;
	record->length = request->length;
	record->uid = request->uid;
	record->gid = request->gid;
	if (request->change != FILE_OPEN || result < 0 || !append_opened(cpu, scratch, root, result))
		append_argument(scratch, request->dirfd, request->path, false, request->at_flags,
				&record->path_len, &record->base_len);
	if (request->target)
		append_argument(scratch, request->target_dirfd, request->target, request->target_is_text, 0,
				&record->target_len, &record->target_base_len);
	if (scratch->truncated)
		record->header.flags |= RECORD_TRUNCATED;
	if (scratch->fault) {
		record->header.flags |= RECORD_READ_FAULT;
		/* What the kernel could not read either is no loss of ours. */
		if (result != -EFAULT)
			count(cpu, COUNT_FILE, COUNT_READ_FAULT, 1);
	}
	size = scratch->used;
	barrier_var(size);
	if (size <= MAX_TEXTS_BYTES)
		send_file_record(cpu, &record->header, sizeof(*record) + size);
	give_scratch(scratch);
}

static __always_inline void add_moved(struct cpu_state *cpu, __u32 root, __s32 fd, bool is_write, long bytes)
{
	struct transferred moved = { .fd = fd, .is_write = is_write, .bytes = bytes };

	add_io(cpu, root, &moved);
}

/* The calls that move bytes and end descriptors. false: another kind. */
static __always_inline bool see_io(struct cpu_state *cpu, struct task_struct *task, __u32 root, __u32 call,
				   struct pt_regs *regs, long result)
{
	__s32 first = SYSCALL_ARGUMENT_0(regs);

	switch (call) {
	case CALL_READ:
	case CALL_WRITE:
		if (result >= 0)
			add_moved(cpu, root, first, call == CALL_WRITE, result);
		return true;
	case CALL_SENDFILE:
		if (result >= 0) {
			add_moved(cpu, root, SYSCALL_ARGUMENT_1(regs), false, result);
			add_moved(cpu, root, first, true, result);
		}
		return true;
	case CALL_COPY_RANGE:
		if (result >= 0) {
			add_moved(cpu, root, first, false, result);
			add_moved(cpu, root, SYSCALL_ARGUMENT_2(regs), true, result);
		}
		return true;
	case CALL_CLOSE:
		/* Whatever else close(2) says, the descriptor is gone. */
		if (result != -EBADF)
			tell_descriptor(cpu, task, root, first);
		return true;
	case CALL_DUP2:
		if (result >= 0 && result != first)
			tell_descriptor(cpu, task, root, result);
		return true;
	default:
		return false;
	}
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_file_call, struct pt_regs *regs, long result)
{
	__u64 number = syscall_number(regs);
	struct request request = {};
	struct task_struct *task;
	struct traced *entry;
	struct cpu_state *cpu;
	__u32 call, tgid;

	if (number >= CALL_NUMBERS)
		return 0;
	call = calls[number];
	if (call == CALL_NONE && !compat_calls[number])
		return 0;
	tgid = bpf_get_current_pid_tgid() >> 32;
	entry = bpf_map_lookup_elem(&traced, &tgid);
	cpu = this_cpu_state();
	if (!entry || !cpu)
		return 0;
	task = bpf_get_current_task_btf();
	if (is_compat(task)) {
		if (compat_calls[number])
			count(cpu, COUNT_FILE, COUNT_COMPAT, 1);
		return 0;
	}
	if (result <= -FIRST_RESTART || see_io(cpu, task, entry->root, call, regs, result))
		return 0;
	if (read_request(&request, call, regs))
		send_change(cpu, entry->root, &request, result);
	return 0;
}

/* Before process.bpf.c tells the end: this object is attached first. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_file_exit, struct task_struct *task)
{
	struct cpu_state *cpu = this_cpu_state();

	if (cpu && task->signal->live.counter == 0)
		tell_process(cpu, task);
	return 0;
}

/* Run by user space, once a second and at the end: tells what has been added up so far. */
SEC("raw_tp")
int tell_open_files(void *context)
{
	bpf_for_each_map_elem(&open_files, tell_entry, NULL, 0);
	return 0;
}
