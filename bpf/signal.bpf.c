/* SPDX-License-Identifier: MIT */
/*
 * Signals that traced processes send, and those that others or the kernel send
 * to them. The tracepoint knows of every signal that is made; what failed never
 * gets there and is seen at the end of its system call.
 */
#include "syscall.bpf.h"

char LICENSE[] __weak SEC("license") = "Dual MIT/GPL";

#if defined(__TARGET_ARCH_x86)
enum {
	SYSCALL_KILL = 62, SYSCALL_TKILL = 200, SYSCALL_TGKILL = 234, SYSCALL_RT_SIGQUEUEINFO = 129,
	SYSCALL_RT_TGSIGQUEUEINFO = 297, SYSCALL_PIDFD_SEND_SIGNAL = 424,
};
#else
enum {
	SYSCALL_KILL = 129, SYSCALL_TKILL = 130, SYSCALL_TGKILL = 131, SYSCALL_RT_SIGQUEUEINFO = 138,
	SYSCALL_RT_TGSIGQUEUEINFO = 240, SYSCALL_PIDFD_SEND_SIGNAL = 424,
};
#endif

enum { SIGALRM = 14, SIGCHLD = 17, SIGURG = 23, SIGVTALRM = 26, SIGPROF = 27, SIGWINCH = 28, SIGIO = 29 };

/* Of siginfo: from a system call are these, and what a program makes up below SI_TKILL. */
enum { SI_KERNEL = 0x80, SI_USER = 0, SI_QUEUE = -1, SI_TKILL = -6 };

/*
 * Instead of a pointer to siginfo: the kernel's own signal. 0 (SEND_SIG_NOINFO) claims to be of the
 * current process, as SIGPIPE does; what a system call sends has a siginfo.
 */
#define SEND_SIG_PRIV 1

static __always_inline int code_of(struct kernel_siginfo *info)
{
	if ((__u64)info <= SEND_SIG_PRIV)
		return SI_KERNEL;
	return BPF_CORE_READ(info, si_code);
}

static __always_inline bool is_sent_by_program(int code)
{
	return code == SI_USER || code == SI_QUEUE || code <= SI_TKILL;
}

/* Ends of children, timers and the like: the kernel's daily business. */
static __always_inline bool is_housekeeping(int number)
{
	return number == SIGCHLD || number == SIGURG || number == SIGALRM || number == SIGVTALRM || number == SIGPROF ||
	       number == SIGWINCH || number == SIGIO;
}

static __always_inline void send_signal(struct signal_sent *record)
{
	struct cpu_state *cpu = this_cpu_state();
	struct bpf_dynptr ptr;

	if (!cpu)
		return;
	count(cpu, COUNT_SIGNAL, COUNT_CALLS, 1);
	record->header.size = sizeof(*record);
	record->header.sequence = next_number(&cpu->records);
	if (!payload_fits(sizeof(*record))) {
		count(cpu, COUNT_SIGNAL, COUNT_RING_FULL, 1);
		return;
	}
	if (bpf_ringbuf_reserve_dynptr(&ring, sizeof(*record), 0, &ptr)) {
		bpf_ringbuf_discard_dynptr(&ptr, 0);
		count(cpu, COUNT_SIGNAL, COUNT_RING_FULL, 1);
		return;
	}
	bpf_dynptr_write(&ptr, 0, record, sizeof(*record), 0);
	bpf_ringbuf_submit_dynptr(&ptr, 0);
	count(cpu, COUNT_SIGNAL, COUNT_DELIVERED, 1);
}

static __always_inline void name_sender(struct signal_sent *record, struct task_struct *task)
{
	record->sender_pid = task->tgid;
	record->sender_start_ns = task->group_leader->start_boottime;
	bpf_probe_read_kernel(record->sender_comm, sizeof(record->sender_comm), task->group_leader->comm);
}

/* Of a traced process its root, else 0. */
static __always_inline __u32 root_of(__u32 pid)
{
	struct traced *entry = bpf_map_lookup_elem(&traced, &pid);

	return entry ? entry->root : 0;
}

static __always_inline void count_foreign(void)
{
	struct cpu_state *cpu = this_cpu_state();

	if (cpu)
		count(cpu, COUNT_SIGNAL, COUNT_FOREIGN, 1);
}

SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal, int number, struct kernel_siginfo *info, struct task_struct *target, int group, int outcome)
{
	struct task_struct *current = bpf_get_current_task_btf();
	struct signal_sent record = {};
	int code = code_of(info);
	bool by_program = is_sent_by_program(code);
	__u32 sender_root = 0, target_root;

	if (by_program)
		sender_root = root_of(current->tgid);
	target_root = root_of(target->tgid);
	if (sender_root == 0 && target_root == 0)
		return 0;
	/* Go interrupts its own threads by SIGURG, up to a hundred times a second. */
	if (by_program ? number == SIGURG && current->tgid == target->tgid : is_housekeeping(number)) {
		count_foreign();
		return 0;
	}
	if (sender_root != 0) {
		fill_header(&record.header, RECORD_SIGNAL, current, sender_root);
	} else {
		fill_header(&record.header, RECORD_SIGNAL, target, target_root);
		record.header.uid = BPF_CORE_READ(target, cred, uid.val);
	}
	if (by_program)
		name_sender(&record, current);
	record.target_pid = target->tgid;
	record.target_start_ns = target->group_leader->start_boottime;
	bpf_probe_read_kernel(record.target_comm, sizeof(record.target_comm), target->group_leader->comm);
	record.number = number;
	record.code = code;
	record.outcome = outcome;
	send_signal(&record);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_signal_call, struct pt_regs *regs, long result)
{
	__u64 call = result < 0 ? syscall_number(regs) : ~0ULL;
	bool is_by_thread = call == SYSCALL_TGKILL || call == SYSCALL_RT_TGSIGQUEUEINFO;
	struct task_struct *current;
	struct signal_sent record = {};
	__u32 root;
	int number;

	if (!is_by_thread && call != SYSCALL_KILL && call != SYSCALL_TKILL && call != SYSCALL_RT_SIGQUEUEINFO &&
	    call != SYSCALL_PIDFD_SEND_SIGNAL)
		return 0;
	number = is_by_thread ? SYSCALL_ARGUMENT_2(regs) : SYSCALL_ARGUMENT_1(regs);
	/* 0 sends nothing: it asks whether a process is there. */
	if (number == 0)
		return 0;
	current = bpf_get_current_task_btf();
	root = root_of(current->tgid);
	if (root == 0 || is_compat(current))
		return 0;
	fill_header(&record.header, RECORD_SIGNAL, current, root);
	name_sender(&record, current);
	record.target_pid = call == SYSCALL_PIDFD_SEND_SIGNAL ? 0 : SYSCALL_ARGUMENT_0(regs);
	record.number = number;
	record.error = -result;
	record.outcome = SIGNAL_FAILED;
	send_signal(&record);
	return 0;
}
