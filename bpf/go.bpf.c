/* SPDX-License-Identifier: MIT */
/*
 * Plaintext of Go's crypto/tls.Conn. Go 1.17 and later pass arguments and the
 * current goroutine in registers. A goroutine may go on in another thread and
 * on another stack, so a call is known by its goroutine and by the distance
 * of its frame from the stack's top, which the runtime keeps when it moves it.
 *
 * Entry programs sit on the jump of the stack check, return programs on return
 * instructions: src/runners/locate/go.ts says why. What Write was given is sent
 * at its entry, because a program on a return instruction costs twenty times more:
 * a Write that fails shows all the same.
 */
#include "binding.bpf.h"

char LICENSE[] __weak SEC("license") = "Dual MIT/GPL";

#if defined(__TARGET_ARCH_x86)
#define GO_ARGUMENT_0(context) ((context)->ax)
#define GO_ARGUMENT_1(context) ((context)->bx)
#define GO_ARGUMENT_2(context) ((context)->cx)
#define GO_GOROUTINE(context) ((context)->r14)
#define FLAGS_CARRY_OR_ZERO 0x41

/* The jump will be taken: the stack is moved to a larger place and the function begins anew. */
static __always_inline bool is_stack_growing(struct pt_regs *regs)
{
	return regs->flags & FLAGS_CARRY_OR_ZERO;
}
#else
/* Compiled only: programs for arm64 are not located. */
#define GO_ARGUMENT_0(context) ((context)->regs[0])
#define GO_ARGUMENT_1(context) ((context)->regs[1])
#define GO_ARGUMENT_2(context) ((context)->regs[2])
#define GO_GOROUTINE(context) ((context)->regs[28])

static __always_inline bool is_stack_growing(struct pt_regs *regs)
{
	return false;
}
#endif

/* Where in runtime.g the bounds of its stack are, in all versions of Go. */
struct go_stack {
	__u64 low;
	__u64 high;
};

struct go_frame {
	__u64 goroutine;
	__u64 distance;	/* from the stack's top */
	__u32 tgid;
	__u32 image;
};

struct go_read {
	__u64 conn;
	__u64 buffer;
	__u64 size;
	struct go_stack stack;	/* as it was: the buffer may be on it */
};

/* Reads under way: most goroutines of a server wait in one. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_GO_READS);
	__type(key, struct go_frame);
	__type(value, struct go_read);
} go_reads SEC(".maps");

static __always_inline int read_frame(struct pt_regs *regs, struct traced *entry, struct go_stack *stack,
				      struct go_frame *frame)
{
	__u64 sp = PT_REGS_SP(regs);

	frame->goroutine = GO_GOROUTINE(regs);
	if (bpf_probe_read_user(stack, sizeof(*stack), (const void *)frame->goroutine))
		return -1;
	if (sp < stack->low || sp >= stack->high)
		return -1;
	frame->distance = stack->high - sp;
	frame->tgid = bpf_get_current_pid_tgid() >> 32;
	frame->image = entry->image;
	return 0;
}

/*
 * tls.Conn begins with the net.Conn that it runs over, an interface: type and
 * pointer. When that is a *net.TCPConn or a *net.UnixConn, it points to a
 * pointer to a netFD, whose descriptor follows 16 bytes of locks. Anything
 * else has no descriptor of an open socket at that place.
 */
static __always_inline struct sock *sock_of_conn(__u64 conn)
{
	__u64 inner = 0, descriptor = 0;
	__s64 fd = -1;

	if (bpf_probe_read_user(&inner, sizeof(inner), (const void *)(conn + 8)) ||
	    bpf_probe_read_user(&descriptor, sizeof(descriptor), (const void *)inner) ||
	    bpf_probe_read_user(&fd, sizeof(fd), (const void *)(descriptor + 16)))
		return NULL;
	if (fd < 0 || fd > 0x7fffffff)
		return NULL;
	return sock_of_fd(bpf_get_current_task_btf(), fd);
}

static __always_inline struct connection *go_connection(struct cpu_state *cpu, struct traced *entry, __u64 conn)
{
	struct connection *connection = connection_of(cpu, entry, conn);
	struct place place;
	struct sock *sk;

	if (!connection || (connection->socket != 0 && is_bound_socket_open(connection)))
		return connection;
	connection->library = TLS_GO;
	sk = sock_of_conn(conn);
	if (sk) {
		read_place(sk, &place);
		bind_connection(entry, connection, &place, EVIDENCE_PROVEN);
	}
	return connection;
}

static __always_inline void send_go_data(struct traced *entry, __u64 conn, __u32 direction, __u64 buffer, __u64 size)
{
	struct cpu_state *cpu = this_cpu_state();
	struct connection *connection;

	/* No call carries more in practice; a wild length is not believed. */
	if (!cpu || size == 0 || size > 0x7fffffff)
		return;
	connection = go_connection(cpu, entry, conn);
	if (connection)
		send_data(cpu, entry, connection, direction, TLS_GO, buffer, size);
}

SEC("uprobe")
int go_write_enter(struct pt_regs *ctx)
{
	struct traced *entry = traced_entry();

	if (entry && !is_stack_growing(ctx))
		send_go_data(entry, GO_ARGUMENT_0(ctx), IO_WRITE, GO_ARGUMENT_1(ctx), GO_ARGUMENT_2(ctx));
	return 0;
}

SEC("uprobe")
int go_read_enter(struct pt_regs *ctx)
{
	struct traced *entry = traced_entry();
	struct cpu_state *cpu;
	struct go_frame frame;
	struct go_read read;

	if (!entry || is_stack_growing(ctx))
		return 0;
	cpu = this_cpu_state();
	if (!cpu)
		return 0;
	if (read_frame(ctx, entry, &read.stack, &frame)) {
		count(cpu, COUNT_TLS, COUNT_READ_FAULT, 1);
		return 0;
	}
	read.conn = GO_ARGUMENT_0(ctx);
	read.buffer = GO_ARGUMENT_1(ctx);
	read.size = GO_ARGUMENT_2(ctx);
	if (bpf_map_update_elem(&go_reads, &frame, &read, BPF_ANY))
		count(cpu, COUNT_TLS, COUNT_MAP_FULL, 1);
	return 0;
}

SEC("uprobe")
int go_read_return(struct pt_regs *ctx)
{
	struct traced *entry = traced_entry();
	__s64 carried = GO_ARGUMENT_0(ctx);
	struct go_frame frame;
	struct go_stack stack;
	struct cpu_state *cpu;
	struct go_read *known;
	struct go_read read;

	if (!entry || read_frame(ctx, entry, &stack, &frame))
		return 0;
	known = bpf_map_lookup_elem(&go_reads, &frame);
	if (!known) {
		/* It began before it was hooked, or before more reads than we keep. */
		cpu = this_cpu_state();
		if (cpu && carried > 0)
			count(cpu, COUNT_TLS, COUNT_MISSED, 1);
		return 0;
	}
	read = *known;
	bpf_map_delete_elem(&go_reads, &frame);
	if (carried <= 0 || (__u64)carried > read.size)
		return 0;
	/* A buffer on the stack has moved with it. */
	if (read.buffer >= read.stack.low && read.buffer < read.stack.high)
		read.buffer += stack.high - read.stack.high;
	send_go_data(entry, read.conn, IO_READ, read.buffer, carried);
	return 0;
}

SEC("uprobe")
int go_close_enter(struct pt_regs *ctx)
{
	struct traced *entry = traced_entry();
	struct cpu_state *cpu = this_cpu_state();

	if (entry && cpu && !is_stack_growing(ctx))
		close_connection(cpu, entry, GO_ARGUMENT_0(ctx));
	return 0;
}
