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
#include "nspr.bpf.h"

char LICENSE[] __weak SEC("license") = "Dual MIT/GPL";

#define PR_MSG_PEEK 0x2

/* GnuTLS's errors after which a handshake goes on: gnutls_error_is_fatal() in its lib/errors.c. */
enum {
	GNUTLS_E_WARNING_ALERT_RECEIVED = -16,
	GNUTLS_E_AGAIN = -28,
	GNUTLS_E_REHANDSHAKE = -37,
	GNUTLS_E_GOT_APPLICATION_DATA = -38,
	GNUTLS_E_INTERRUPTED = -52,
};

static __always_inline bool is_gnutls_fatal(int result)
{
	return result < 0 && result != GNUTLS_E_WARNING_ALERT_RECEIVED && result != GNUTLS_E_AGAIN &&
	       result != GNUTLS_E_REHANDSHAKE && result != GNUTLS_E_GOT_APPLICATION_DATA && result != GNUTLS_E_INTERRUPTED;
}

/* How many bytes a call carried that returned result; 0 when it failed. */
static __always_inline __u32 carried_bytes(struct cpu_state *cpu, struct call *call, int result)
{
	__u64 carried = result;

	if (result <= 0)
		return 0;
	if (call->carried != 0 && bpf_probe_read_user(&carried, sizeof(carried), (const void *)call->carried)) {
		count(cpu, COUNT_TLS, COUNT_READ_FAULT, 1);
		return 0;
	}
	/* No call carries more than a size_t of 31 bits in practice; a wild one is cut, not believed. */
	return carried > 0x7fffffff ? 0 : carried;
}

/* Takes the call off the thread's stack. 0 when there is one, and we know its beginning. */
static __always_inline int leave_call(struct pt_regs *regs, struct cpu_state *cpu, struct thread_calls **thread,
				      struct call *call)
{
	*thread = known_thread_calls();
	/* A call that began before its process was traced, or in the parent of a fork. */
	if (!*thread)
		return -1;
	if (leave(*thread, PT_REGS_SP(regs), call) == 0)
		return 0;
	/* Calls on NSPR files without TLS are not kept. */
	if (bpf_get_attach_cookie(regs) != TLS_NSS)
		count(cpu, COUNT_TLS, COUNT_MISSED, 1);
	return -1;
}

static __always_inline int leave_and_send(struct pt_regs *regs)
{
	struct traced *entry = traced_entry();
	struct cpu_state *cpu = this_cpu_state();
	struct connection *connection;
	struct thread_calls *thread;
	struct call call;
	__u32 carried;

	if (!entry || !cpu || leave_call(regs, cpu, &thread, &call))
		return 0;
	carried = carried_bytes(cpu, &call, PT_REGS_RC(regs));
	if (carried == 0 || call.is_sent)
		return 0;
	mark_outer(thread, &call);
	connection = connection_of(cpu, entry, call.connection);
	if (!connection)
		return 0;
	send_data(cpu, entry, connection, call.direction, bpf_get_attach_cookie(regs), call.buffer, carried);
	if (call.direction == IO_WRITE)
		await_send(thread, connection, call.connection, carried);
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
	return leave_and_send(ctx);
}

SEC("uprobe")
int BPF_KPROBE(ssl_write_enter, __u64 ssl, __u64 buffer)
{
	return enter(ctx, IO_WRITE, ssl, buffer, 0);
}

SEC("uretprobe")
int ssl_write_exit(struct pt_regs *ctx)
{
	return leave_and_send(ctx);
}

SEC("uprobe")
int BPF_KPROBE(ssl_read_ex_enter, __u64 ssl, __u64 buffer, __u64 size, __u64 carried)
{
	return enter(ctx, IO_READ, ssl, buffer, carried);
}

SEC("uretprobe")
int ssl_read_ex_exit(struct pt_regs *ctx)
{
	return leave_and_send(ctx);
}

SEC("uprobe")
int BPF_KPROBE(ssl_write_ex_enter, __u64 ssl, __u64 buffer, __u64 size, __u64 carried)
{
	return enter(ctx, IO_WRITE, ssl, buffer, carried);
}

SEC("uretprobe")
int ssl_write_ex_exit(struct pt_regs *ctx)
{
	return leave_and_send(ctx);
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
	if (known->references > 0) {
		__sync_fetch_and_add(&known->references, -1);
		return 0;
	}
	if (known->handshake == HANDSHAKE_STARTED)
		send_handshake(cpu, entry, known, false, bpf_get_attach_cookie(ctx));
	close_connection(cpu, entry, ssl);
	return 0;
}

/* SSL_do_handshake, the state machine below it, gnutls_handshake. */
SEC("uprobe")
int BPF_KPROBE(handshake_enter, __u64 object)
{
	struct traced *entry = traced_entry();
	struct cpu_state *cpu = this_cpu_state();
	struct connection *connection;

	if (!entry || !cpu)
		return 0;
	connection = connection_of(cpu, entry, object);
	if (!connection)
		return 0;
	/* Session tickets come after the handshake, through the same functions. */
	if (connection->handshake == HANDSHAKE_ENDED || has_carried(connection))
		return 0;
	if (connection->handshake == HANDSHAKE_NONE) {
		connection->handshake = HANDSHAKE_STARTED;
		connection->handshake_start_ns = bpf_ktime_get_boot_ns();
		connection->handshake_last_ns = connection->handshake_start_ns;
	}
	return enter(ctx, CALL_HANDSHAKE, object, 0, 0);
}

SEC("uretprobe")
int handshake_exit(struct pt_regs *ctx)
{
	struct traced *entry = traced_entry();
	struct thread_calls *thread = known_thread_calls();
	struct cpu_state *cpu = this_cpu_state();
	__u64 library = bpf_get_attach_cookie(ctx);
	int result = PT_REGS_RC(ctx);
	struct connection *connection;
	struct call call;

	if (!entry || !cpu || !thread || leave(thread, PT_REGS_SP(ctx), &call))
		return 0;
	connection = known_connection(entry, call.connection);
	if (!connection || connection->handshake != HANDSHAKE_STARTED)
		return 0;
	connection->handshake_last_ns = bpf_ktime_get_boot_ns();
	if (library == TLS_GNUTLS ? result == 0 : result == 1)
		send_handshake(cpu, entry, connection, true, library);
	else if (library == TLS_GNUTLS ? is_gnutls_fatal(result) : result == 0)
		send_handshake(cpu, entry, connection, false, library);
	return 0;
}

/* NSPR: one set of functions for files of all kinds. */
static __always_inline int nspr_enter(struct pt_regs *regs, __u32 direction, __u64 file, __u64 buffer)
{
	struct traced *entry = traced_entry();

	if (!entry || !is_tls_file(entry, file))
		return 0;
	return enter(regs, direction, file, buffer, 0);
}

SEC("uprobe")
int BPF_KPROBE(nspr_read_enter, __u64 file, __u64 buffer)
{
	return nspr_enter(ctx, IO_READ, file, buffer);
}

SEC("uprobe")
int BPF_KPROBE(nspr_recv_enter, __u64 file, __u64 buffer, __u32 amount, __u32 flags)
{
	return flags & PR_MSG_PEEK ? 0 : nspr_enter(ctx, IO_READ, file, buffer);
}

SEC("uprobe")
int BPF_KPROBE(nspr_write_enter, __u64 file, __u64 buffer)
{
	return nspr_enter(ctx, IO_WRITE, file, buffer);
}
