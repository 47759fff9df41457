/* SPDX-License-Identifier: MIT */
/*
 * Processes: creation, exec and end, and the traced set itself. Loaded in
 * every capture, because the set must follow forks even where nobody wants
 * records of processes.
 */
#include "cwd.bpf.h"
#include "usage.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define SIGNAL_GROUP_EXIT 0x00000004

struct comm_key {
	char comm[16];
};

/* Names that make an executed program a new traced root. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_COMMS);
	__type(key, struct comm_key);
	__type(value, __u32);
} comms SEC(".maps");

static __always_inline void refused(struct cpu_state *cpu, struct bpf_dynptr *ptr)
{
	bpf_ringbuf_discard_dynptr(ptr, 0);
	count(cpu, COUNT_PROCESS, COUNT_RING_FULL, 1);
}

/* Records without text. */
static __always_inline void send_record(struct cpu_state *cpu, struct record_header *header, __u32 size)
{
	struct bpf_dynptr ptr;

	header->size = size;
	header->sequence = next_number(&cpu->records);
	if (bpf_ringbuf_reserve_dynptr(&ring, size, 0, &ptr)) {
		refused(cpu, &ptr);
		return;
	}
	bpf_dynptr_write(&ptr, 0, header, size, 0);
	bpf_ringbuf_submit_dynptr(&ptr, 0);
	count(cpu, COUNT_PROCESS, COUNT_DELIVERED, 1);
}

/* Runs before the child does: the child is in the traced set from its first instruction. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct process_fork record = {};
	struct traced inherited = {};
	struct traced *entry;
	struct cpu_state *cpu;
	__u32 parent_pid = parent->tgid;
	__u32 child_pid = child->tgid;

	if (child->pid != child->tgid)
		return 0;
	entry = bpf_map_lookup_elem(&traced, &parent_pid);
	if (!entry) {
		/* A pid that was put into the set while its process was ending comes back as another's. */
		bpf_map_delete_elem(&traced, &child_pid);
		return 0;
	}
	cpu = this_cpu_state();
	if (!cpu)
		return 0;
	inherited.root = entry->root;
	inherited.image = new_image();
	if (bpf_map_update_elem(&traced, &child_pid, &inherited, BPF_ANY))
		count(cpu, COUNT_PROCESS, COUNT_MAP_FULL, 1);
	if (!config.emit_process)
		return 0;
	fill_header(&record.header, RECORD_PROCESS_FORK, child, inherited.root);
	record.parent_start_ns = parent->group_leader->start_boottime;
	record.ppid = parent_pid;
	send_record(cpu, &record.header, sizeof(record));
	return 0;
}

/* Tells the verifier what the compiler knows and would optimise away. */
static __always_inline __u32 at_most(__u32 value, __u32 limit)
{
	barrier_var(value);
	return value < limit ? value : limit;
}

static __always_inline void send_exec(struct cpu_state *cpu, struct exec_scratch *scratch,
				      struct task_struct *task, struct linux_binprm *bprm, __u32 root)
{
	struct process_exec record = {};
	__u64 argv = task->mm->arg_start;
	__u64 argv_bytes = task->mm->arg_end - argv;
	__u32 cwd_start, offset;
	struct bpf_dynptr ptr;
	long len;

	fill_header(&record.header, RECORD_PROCESS_EXEC, task, root);
	record.parent_start_ns = task->real_parent->group_leader->start_boottime;
	record.ppid = task->real_parent->tgid;
	record.gid = bpf_get_current_uid_gid() >> 32;

	len = bpf_probe_read_kernel_str(scratch->filename, sizeof(scratch->filename), bprm->filename);
	record.filename_len = len > 0 ? len - 1 : 0;
	cwd_start = read_cwd(scratch, task, &record.cwd_truncated);
	record.cwd_len = MAX_PATH_BYTES - cwd_start;
	record.argv_total = argv_bytes;
	record.argv_len = record.argv_total;
	if (record.argv_len > MAX_ARGV_BYTES) {
		record.argv_len = MAX_ARGV_BYTES;
		record.header.flags |= RECORD_TRUNCATED;
		count(cpu, COUNT_PROCESS, COUNT_TRUNCATED_BYTES, record.argv_total - record.argv_len);
	}

	record.header.size = sizeof(record) + record.filename_len + record.cwd_len + record.argv_len;
	record.header.sequence = next_number(&cpu->records);
	if (bpf_ringbuf_reserve_dynptr(&ring, record.header.size, 0, &ptr)) {
		refused(cpu, &ptr);
		return;
	}
	offset = sizeof(record);
	bpf_dynptr_write(&ptr, offset, scratch->filename, at_most(record.filename_len, MAX_PATH_BYTES), 0);
	offset += record.filename_len;
	bpf_dynptr_write(&ptr, offset, &scratch->cwd[at_most(cwd_start, MAX_PATH_BYTES)],
			 at_most(record.cwd_len, MAX_PATH_BYTES), 0);
	offset += record.cwd_len;
	if (copy_user(&ptr, offset, argv, record.argv_len)) {
		record.header.flags |= RECORD_READ_FAULT;
		count(cpu, COUNT_PROCESS, COUNT_READ_FAULT, 1);
	}
	bpf_dynptr_write(&ptr, 0, &record, sizeof(record), 0);
	bpf_ringbuf_submit_dynptr(&ptr, 0);
	count(cpu, COUNT_PROCESS, COUNT_DELIVERED, 1);
}

/* The traced root of a process that has just executed something, or 0. */
static __always_inline __u32 root_after_exec(struct cpu_state *cpu, struct task_struct *task, __u32 pid)
{
	struct traced created = {};
	struct comm_key key;
	struct traced *entry;

	entry = bpf_map_lookup_elem(&traced, &pid);
	if (entry) {
		entry->image = new_image();
		return entry->root;
	}
	bpf_probe_read_kernel(key.comm, sizeof(key.comm), task->comm);
	if (!bpf_map_lookup_elem(&comms, &key))
		return 0;
	created.root = pid;
	created.image = new_image();
	if (bpf_map_update_elem(&traced, &pid, &created, BPF_ANY)) {
		count(cpu, COUNT_PROCESS, COUNT_MAP_FULL, 1);
		return 0;
	}
	return pid;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct exec_scratch *scratch;
	struct cpu_state *cpu = this_cpu_state();
	__u32 zero = 0;
	__u32 root;

	if (!cpu)
		return 0;
	root = root_after_exec(cpu, task, task->tgid);
	if (root == 0 || !config.emit_process)
		return 0;
	scratch = bpf_map_lookup_elem(&exec_scratches, &zero);
	if (!scratch)
		return 0;
	if (__sync_val_compare_and_swap(&scratch->busy, 0, 1) != 0) {
		count(cpu, COUNT_PROCESS, COUNT_MISSED, 1);
		return 0;
	}
	send_exec(cpu, scratch, task, bprm, root);
	__sync_lock_test_and_set(&scratch->busy, 0);
	return 0;
}

/*
 * Fires for each thread. The last ones of a process may both see live == 0:
 * whoever deletes the entry of the traced set reports the end.
 */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct signal_struct *signal = task->signal;
	struct process_exit record = {};
	struct traced *entry;
	struct cpu_state *cpu;
	__u32 pid = task->tgid;
	__u32 root, status;

	if (signal->live.counter != 0)
		return 0;
	entry = bpf_map_lookup_elem(&traced, &pid);
	if (!entry)
		return 0;
	root = entry->root;
	if (bpf_map_delete_elem(&traced, &pid))
		return 0;
	cpu = this_cpu_state();
	if (!cpu || !config.emit_process)
		return 0;
	fill_header(&record.header, RECORD_PROCESS_EXIT, task, root);
	record.parent_start_ns = task->real_parent->group_leader->start_boottime;
	record.ppid = task->real_parent->tgid;
	/* What wait(2) gives: of the group where something ended it whole, else of its leader. */
	status = signal->flags & SIGNAL_GROUP_EXIT ? signal->group_exit_code : task->group_leader->exit_code;
	record.signal = status & 0x7f;
	record.core_dumped = status >> 7 & 1;
	record.exit_code = status >> 8 & 0xff;
	read_times(&record, signal);
	read_peak_rss(&record, task);
	send_record(cpu, &record.header, sizeof(record));
	return 0;
}
