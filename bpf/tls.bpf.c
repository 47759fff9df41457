/* SPDX-License-Identifier: MIT */
/*
 * Plaintext of the reads and writes of C libraries. Each attachment's cookie
 * says which library it is (enum tls_library). Uprobes: an enter
 * program keeps the arguments per thread, the exit program at the return sends
 * what was carried, and only when the call succeeded. Node tries one and the
 * same write several times before it succeeds.
 *
 * The _ex programs also fit OpenSSL's internal functions, ssl_read_internal
 * and ssl_write_internal, which have the same arguments and result.
 */
#include "calls.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

static __always_inline int leave_and_send(struct pt_regs *regs, bool is_ex)
{
	struct traced *entry = traced_entry();
	struct connection *connection;
	struct thread_calls *thread;
	struct cpu_state *cpu;
	struct call call;
	long result = (int)PT_REGS_RC(regs);
	__u64 carried;

	if (!entry)
		return 0;
	cpu = this_cpu_state();
	if (!cpu)
		return 0;
	thread = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL, 0);
	/* A call that began before its process was traced, or in the parent of a fork. */
	if (!thread)
		return 0;
	if (leave(thread, PT_REGS_SP(regs), &call)) {
		count(cpu, COUNT_TLS, COUNT_MISSED, 1);
		return 0;
	}
	if (result <= 0 || call.is_sent)
		return 0;
	carried = result;
	if (is_ex && bpf_probe_read_user(&carried, sizeof(carried), (const void *)call.carried)) {
		count(cpu, COUNT_TLS, COUNT_READ_FAULT, 1);
		return 0;
	}
	/* No call carries more than a size_t of 31 bits in practice; a wild one is cut, not believed. */
	if (carried == 0 || carried > 0x7fffffff)
		return 0;
	mark_outer(thread, &call);
	connection = connection_of(cpu, entry, call.connection);
	if (connection)
		send_data(cpu, entry, connection, call.direction, bpf_get_attach_cookie(regs), call.buffer, carried);
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(ssl_read_enter, __u64 ssl, __u64 buffer)
{
	return enter(ctx, IO_READ, ssl, buffer, 0);
}

SEC("uretprobe")
int ssl_read_exit(struct pt_regs *ctx)
{
	return leave_and_send(ctx, false);
}

SEC("uprobe")
int BPF_KPROBE(ssl_write_enter, __u64 ssl, __u64 buffer)
{
	return enter(ctx, IO_WRITE, ssl, buffer, 0);
}

SEC("uretprobe")
int ssl_write_exit(struct pt_regs *ctx)
{
	return leave_and_send(ctx, false);
}

SEC("uprobe")
int BPF_KPROBE(ssl_read_ex_enter, __u64 ssl, __u64 buffer, __u64 size, __u64 carried)
{
	return enter(ctx, IO_READ, ssl, buffer, carried);
}

SEC("uretprobe")
int ssl_read_ex_exit(struct pt_regs *ctx)
{
	return leave_and_send(ctx, true);
}

SEC("uprobe")
int BPF_KPROBE(ssl_write_ex_enter, __u64 ssl, __u64 buffer, __u64 size, __u64 carried)
{
	return enter(ctx, IO_WRITE, ssl, buffer, carried);
}

SEC("uretprobe")
int ssl_write_ex_exit(struct pt_regs *ctx)
{
	return leave_and_send(ctx, true);
}

/*
 * SSL objects are counted references. Those taken before we looked are not
 * known: the first free then ends the connection, and it starts anew.
 */
SEC("uprobe")
int BPF_KPROBE(ssl_up_ref_enter, __u64 ssl)
{
	struct traced *entry = traced_entry();
	struct connection *known = entry ? known_connection(entry, ssl) : NULL;

	if (known)
		__sync_fetch_and_add(&known->references, 1);
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(ssl_free_enter, __u64 ssl)
{
	struct traced *entry = traced_entry();
	struct connection *known = entry ? known_connection(entry, ssl) : NULL;
	struct cpu_state *cpu = this_cpu_state();

	if (!known || !cpu)
		return 0;
	if (known->references > 0)
		__sync_fetch_and_add(&known->references, -1);
	else
		close_connection(cpu, entry, ssl);
	return 0;
}
