/* SPDX-License-Identifier: MIT */
/*
 * What processes read and wrote, added up per descriptor of a regular file and
 * told when it is closed, when its process ends, and whenever user space asks.
 *
 * An entry belongs to a number, not to a file: it stays when the descriptor is
 * closed, empty, and is taken over by the next file that gets the number. So a
 * process has as many entries as it ever had files open at once, they form a
 * list that only grows, and no close that we do not see (dup2, exec,
 * close_range) can confuse two files: their kernel objects differ.
 */
#ifndef AGENTSIGHT_FILE_IO_BPF_H
#define AGENTSIGHT_FILE_IO_BPF_H

#include "file-text.bpf.h"

#define S_IFREG 0100000
#define NO_FD (-1)
#define E2BIG 7

struct bpf_map;

struct descriptor {
	__u32 tgid;
	__s32 fd;
};

struct open_file {
	__u64 id;		/* of the file in this descriptor: when it was first seen */
	__u64 file;		/* the kernel's object */
	__u64 inode;
	__u64 device;
	__u64 first_ns;
	__u64 last_ns;
	__u64 read_bytes;
	__u64 read_calls;
	__u64 written_bytes;
	__u64 write_calls;
	__s32 next_fd;		/* of the same process */
	__u32 reserved;
};

/* Entries are allocated as they come: to have all of them ready takes a start 10 to 30 ms for each such map. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_OPEN_FILES);
	__type(key, struct descriptor);
	__type(value, struct open_file);
} open_files SEC(".maps");

struct file_process {
	struct record_header header;	/* for records that are not made by the process itself */
	__s32 first_fd;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_FILE_PROCESSES);
	__type(key, __u32);
	__type(value, struct file_process);
} file_processes SEC(".maps");

/* Too big for the stack. */
static const struct open_file new_file = { .next_fd = NO_FD };
static const struct file_process new_process = { .first_fd = NO_FD };

static __always_inline __u64 take(__u64 *counter)
{
	return __sync_lock_test_and_set(counter, 0);
}

/*
 * header is of the process and has everything but kind, flags, time, size and
 * sequence. The record is made in the ring: before Linux 6.13 all frames of a
 * chain of calls share 512 bytes of stack. Sums that the ring refuses are lost,
 * and counted: the next file of this number must not inherit them.
 */
static __always_inline void tell(struct cpu_state *cpu, const struct record_header *header, __s32 fd,
				 struct open_file *open)
{
	struct file_io *record;
	__u64 sequence;

	if (open->read_calls + open->write_calls == 0)
		return;
	count(cpu, COUNT_FILE, COUNT_CALLS, 1);
	sequence = next_number(&cpu->records);
	record = payload_fits(sizeof(*record)) ? bpf_ringbuf_reserve(&ring, sizeof(*record), 0) : NULL;
	if (!record) {
		open->first_ns = open->read_bytes = open->read_calls = open->written_bytes = open->write_calls = 0;
		count(cpu, COUNT_FILE, COUNT_RING_FULL, 1);
		return;
	}
	record->header = *header;
	record->header.kind = RECORD_FILE_IO;
	record->header.flags = 0;
	record->header.time_ns = bpf_ktime_get_boot_ns();
	record->header.size = sizeof(*record);
	record->header.sequence = sequence;
	record->file = open->id;
	record->inode = open->inode;
	record->device = open->device;
	record->first_ns = take(&open->first_ns);
	record->last_ns = open->last_ns;
	record->read_bytes = take(&open->read_bytes);
	record->read_calls = take(&open->read_calls);
	record->written_bytes = take(&open->written_bytes);
	record->write_calls = take(&open->write_calls);
	record->fd = fd;
	record->path_len = 0;
	bpf_ringbuf_submit(record, 0);
	count(cpu, COUNT_FILE, COUNT_DELIVERED, 1);
}

/* The process in its map, with its header as it is now: an exec changes the name. */
static __always_inline struct file_process *enter_process(struct cpu_state *cpu, struct task_struct *task, __u32 root)
{
	struct file_process *process;
	__u32 tgid = task->tgid;

	process = bpf_map_lookup_elem(&file_processes, &tgid);
	if (process) {
		fill_header(&process->header, RECORD_FILE_IO, task, root);
		return process;
	}
	if (bpf_map_update_elem(&file_processes, &tgid, &new_process, BPF_NOEXIST) == -E2BIG)
		return NULL;
	process = bpf_map_lookup_elem(&file_processes, &tgid);
	if (process)
		fill_header(&process->header, RECORD_FILE_IO, task, root);
	return process;
}

/* Another thread may be first: then its entry is in the list already. */
static __always_inline struct open_file *insert(struct file_process *process, const struct descriptor *key)
{
	long failure = bpf_map_update_elem(&open_files, key, &new_file, BPF_NOEXIST);
	struct open_file *open = bpf_map_lookup_elem(&open_files, key);

	if (open && !failure)
		open->next_fd = __sync_lock_test_and_set(&process->first_fd, key->fd);
	return open;
}

/* The entry of a descriptor, taken over by this file; NULL where the maps are full. */
static __always_inline struct open_file *adopt(struct cpu_state *cpu, struct task_struct *task, __u32 root,
					       const struct descriptor *key, struct file *file, struct inode *inode)
{
	struct open_file *open = bpf_map_lookup_elem(&open_files, key);
	struct file_process *process = enter_process(cpu, task, root);

	if (!process)
		return NULL;
	/* What the number stood for before was closed unseen. */
	if (open)
		tell(cpu, &process->header, key->fd, open);
	else
		open = insert(process, key);
	if (!open)
		return NULL;
	open->id = bpf_ktime_get_boot_ns();
	open->file = (__u64)file;
	open->inode = BPF_CORE_READ(inode, i_ino);
	open->device = user_device(BPF_CORE_READ(inode, i_sb, s_dev));
	return open;
}

/* A record with the file's path: of the entry, which it names, or of one call that no entry could take. */
static __always_inline void name_file(struct cpu_state *cpu, struct task_struct *task, __u32 root, __s32 fd,
				      struct file *file, const struct open_file *open)
{
	struct file_scratch *scratch = take_scratch(cpu);
	struct file_io *record;
	__u64 size;

	if (!scratch)
		return;
	record = &scratch->io;
	fill_header(&record->header, RECORD_FILE_IO, task, root);
	record->file = open->id;
	record->inode = open->inode;
	record->device = open->device;
	record->first_ns = open->first_ns;
	record->last_ns = open->last_ns;
	record->read_bytes = open->read_bytes;
	record->read_calls = open->read_calls;
	record->written_bytes = open->written_bytes;
	record->write_calls = open->write_calls;
	record->fd = fd;
	record->path_len = append_path_of_file(scratch, file);
	if (scratch->truncated)
		record->header.flags |= RECORD_TRUNCATED;
	size = sizeof(*record) + record->path_len;
	barrier_var(size);
	if (size <= sizeof(*record) + MAX_PATH_BYTES)
		send_file_record(cpu, &record->header, size);
	give_scratch(scratch);
}

struct transferred {
	__s32 fd;
	bool is_write;
	__u64 bytes;
};

static __noinline void add_io(struct cpu_state *cpu, __u32 root, struct transferred *moved)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct descriptor key = { .tgid = task->tgid, .fd = moved->fd };
	struct file *file = file_of_fd(task, moved->fd);
	__u64 now = bpf_ktime_get_boot_ns();
	struct open_file alone = {};
	struct open_file *open;
	struct inode *inode;

	if (!file)
		return;
	inode = BPF_CORE_READ(file, f_inode);
	if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFREG)
		return;
	open = bpf_map_lookup_elem(&open_files, &key);
	if (!open || open->file != (__u64)file || open->inode != BPF_CORE_READ(inode, i_ino)) {
		open = adopt(cpu, task, root, &key, file, inode);
		if (open)
			name_file(cpu, task, root, moved->fd, file, open);
	}
	if (!open) {
		alone.inode = BPF_CORE_READ(inode, i_ino);
		alone.device = user_device(BPF_CORE_READ(inode, i_sb, s_dev));
		open = &alone;
	}
	if (!open->first_ns)
		open->first_ns = now;
	open->last_ns = now;
	if (moved->is_write) {
		__sync_fetch_and_add(&open->written_bytes, moved->bytes);
		__sync_fetch_and_add(&open->write_calls, 1);
	} else {
		__sync_fetch_and_add(&open->read_bytes, moved->bytes);
		__sync_fetch_and_add(&open->read_calls, 1);
	}
	if (open == &alone) {
		count(cpu, COUNT_FILE, COUNT_UNMERGED, 1);
		name_file(cpu, task, root, moved->fd, file, open);
	}
}

/* The descriptor was closed, or stands for another file now. */
static __always_inline void tell_descriptor(struct cpu_state *cpu, struct task_struct *task, __u32 root, __s32 fd)
{
	struct descriptor key = { .tgid = task->tgid, .fd = fd };
	struct record_header header = {};
	struct open_file *open = bpf_map_lookup_elem(&open_files, &key);

	if (!open)
		return;
	fill_header(&header, RECORD_FILE_IO, task, root);
	tell(cpu, &header, fd, open);
}

/* A walk through the list of a process that has ended. */
struct farewell {
	struct record_header header;
	struct descriptor next;
};

static long tell_next(__u32 index, struct farewell *farewell)
{
	struct cpu_state *cpu = this_cpu_state();
	struct descriptor key = farewell->next;
	struct open_file *open;

	if (key.fd == NO_FD || !cpu)
		return 1;
	open = bpf_map_lookup_elem(&open_files, &key);
	if (!open)
		return 1;
	tell(cpu, &farewell->header, key.fd, open);
	farewell->next.fd = open->next_fd;
	bpf_map_delete_elem(&open_files, &key);
	return 0;
}

/* For the last thread: whoever deletes the process tells the rest. */
static __always_inline void tell_process(struct cpu_state *cpu, struct task_struct *task)
{
	struct farewell farewell = {};
	struct file_process *process;
	__u32 tgid = task->tgid;

	process = bpf_map_lookup_elem(&file_processes, &tgid);
	if (!process)
		return;
	fill_header(&farewell.header, RECORD_FILE_IO, task, process->header.root);
	farewell.next.tgid = tgid;
	farewell.next.fd = process->first_fd;
	if (bpf_map_delete_elem(&file_processes, &tgid))
		return;
	bpf_loop(MAX_OPEN_FILES, tell_next, &farewell, 0);
}

/* A bpf_for_each_map_elem() step. What does not fit into the ring now is told the next time. */
static long tell_entry(struct bpf_map *map, const struct descriptor *key, struct open_file *open, void *unused)
{
	struct cpu_state *cpu = this_cpu_state();
	struct file_process *process;
	__u32 tgid = key->tgid;

	process = bpf_map_lookup_elem(&file_processes, &tgid);
	if (cpu && process && payload_fits(sizeof(struct file_io)))
		tell(cpu, &process->header, key->fd, open);
	return 0;
}

#endif
