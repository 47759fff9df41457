/* SPDX-License-Identifier: MIT */
/*
 * Processes: creation, exec and end, and the traced set itself. Loaded in
 * every capture, because the set must follow forks even where nobody wants
 * records of processes.
 */
#include "select.bpf.h"
#include "usage.bpf.h"

char LICENSE[] __weak SEC("license") = "Dual MIT/GPL";

#define SIGNAL_GROUP_EXIT 0x00000004

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

static __always_inline void write_path(struct bpf_dynptr *ptr, __u32 offset, struct path_text *text, __u32 start)
{
	bpf_dynptr_write(ptr, offset, &text->bytes[at_most(start, MAX_PATH_BYTES)],
			 MAX_PATH_BYTES - at_most(start, MAX_PATH_BYTES), 0);
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
	if (!entry || !config.follow) {
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

static __always_inline void send_exec(struct cpu_state *cpu, struct scratch *scratch,
				      struct task_struct *task, struct linux_binprm *bprm, __u32 root, int old_pid)
{
	struct process_exec record = {};
	__u64 argv = task->mm->arg_start;
	__u64 argv_bytes = task->mm->arg_end - argv;
	struct bpf_dynptr ptr;
	__u32 offset;
	long len;

	fill_header(&record.header, RECORD_PROCESS_EXEC, task, root);
	record.parent_start_ns = task->real_parent->group_leader->start_boottime;
	record.ppid = task->real_parent->tgid;
	if (old_pid != task->pid)
		record.header.flags |= RECORD_EXEC_BY_THREAD;
	record.gid = bpf_get_current_uid_gid() >> 32;

	len = bpf_probe_read_kernel_str(scratch->filename, sizeof(scratch->filename), bprm->filename);
	record.filename_len = len > 0 ? len - 1 : 0;
	scratch->cwd_start = read_cwd(&scratch->cwd, task, &record.cwd_truncated);
	record.cwd_len = MAX_PATH_BYTES - scratch->cwd_start;
	record.exe_len = MAX_PATH_BYTES - scratch->exe_start;
	record.cgroup_len = MAX_PATH_BYTES - scratch->cgroup_start;
	record.argv_total = argv_bytes;
	record.argv_len = record.argv_total;
	if (record.argv_len > MAX_ARGV_BYTES) {
		record.argv_len = MAX_ARGV_BYTES;
		record.header.flags |= RECORD_TRUNCATED;
		count(cpu, COUNT_PROCESS, COUNT_TRUNCATED_BYTES, record.argv_total - record.argv_len);
	}

	record.header.size = sizeof(record) + record.filename_len + record.cwd_len + record.exe_len +
			     record.cgroup_len + record.argv_len;
	record.header.sequence = next_number(&cpu->records);
	if (bpf_ringbuf_reserve_dynptr(&ring, record.header.size, 0, &ptr)) {
		refused(cpu, &ptr);
		return;
	}
	offset = sizeof(record);
	bpf_dynptr_write(&ptr, offset, scratch->filename, at_most(record.filename_len, MAX_PATH_BYTES), 0);
	offset += record.filename_len;
	write_path(&ptr, offset, &scratch->cwd, scratch->cwd_start);
	offset += record.cwd_len;
	write_path(&ptr, offset, &scratch->exe, scratch->exe_start);
	offset += record.exe_len;
	write_path(&ptr, offset, &scratch->cgroup, scratch->cgroup_start);
	offset += record.cgroup_len;
	if (copy_user(&ptr, offset, argv, record.argv_len)) {
		record.header.flags |= RECORD_READ_FAULT;
		count(cpu, COUNT_PROCESS, COUNT_READ_FAULT, 1);
	}
	bpf_dynptr_write(&ptr, 0, &record, sizeof(record), 0);
	bpf_ringbuf_submit_dynptr(&ptr, 0);
	count(cpu, COUNT_PROCESS, COUNT_DELIVERED, 1);
}

static __always_inline int make_root(struct cpu_state *cpu, __u32 pid)
{
	struct traced created = { .root = pid, .image = new_image() };

	if (pid == config.collector)
		return -1;
	if (bpf_map_update_elem(&traced, &pid, &created, BPF_ANY) == 0)
		return 0;
	count(cpu, COUNT_PROCESS, COUNT_MAP_FULL, 1);
	return -1;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct cpu_state *cpu = this_cpu_state();
	struct scratch *scratch;
	struct traced *entry;
	__u32 pid = task->tgid;
	__u32 root = 0;

	entry = bpf_map_lookup_elem(&traced, &pid);
	if (entry) {
		entry->image = new_image();
		root = entry->root;
	}
	if (!cpu || (root == 0 ? !selects_programs() : !config.emit_process))
		return 0;
	scratch = take_scratch(cpu);
	if (!scratch)
		return 0;
	read_exe(scratch, task);
	scratch->cgroup_start = read_cgroup(&scratch->cgroup, scratch->name, task);
	if (root == 0 && is_selected_process(scratch, task, bpf_get_current_uid_gid()) && make_root(cpu, pid) == 0)
		root = pid;
	if (root != 0 && config.emit_process)
		send_exec(cpu, scratch, task, bprm, root, old_pid);
	release_scratch(scratch);
	return 0;
}

/* A process that runs already enters a control group: its arguments cannot be read from here, user space tells them. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_cgroup_attach, struct cgroup *destination, const char *path, struct task_struct *task)
{
	struct process_join record = {};
	struct cpu_state *cpu;
	struct scratch *scratch;
	__u32 pid = task->tgid;

	if (config.cgroup_count == 0 || bpf_map_lookup_elem(&traced, &pid))
		return 0;
	cpu = this_cpu_state();
	scratch = cpu ? take_scratch(cpu) : NULL;
	if (!scratch)
		return 0;
	if (config.exe_count > 0)
		read_exe(scratch, task);
	scratch->cgroup_start = read_cgroup(&scratch->cgroup, scratch->name, task);
	if (is_selected_process(scratch, task, BPF_CORE_READ(task, cred, uid.val)) && make_root(cpu, pid) == 0) {
		fill_header(&record.header, RECORD_PROCESS_JOIN, task, pid);
		send_record(cpu, &record.header, sizeof(record));
	}
	release_scratch(scratch);
	return 0;
}

/* Costs nothing where nobody makes one. A kernel without io_uring has no such tracepoint: then it is not loaded. */
SEC("tp_btf/io_uring_create")
int BPF_PROG(on_io_uring, int fd)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct process_io_uring record = {};
	struct cpu_state *cpu = this_cpu_state();
	__u32 pid = task->tgid;
	struct traced *entry = bpf_map_lookup_elem(&traced, &pid);

	if (!entry || !cpu || entry->io_uring == entry->image)
		return 0;
	entry->io_uring = entry->image;
	fill_header(&record.header, RECORD_PROCESS_IO_URING, task, entry->root);
	send_record(cpu, &record.header, sizeof(record));
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
	read_usage(&record, signal);
	read_peak_rss(&record, task);
	send_record(cpu, &record.header, sizeof(record));
	return 0;
}
