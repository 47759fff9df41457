/* SPDX-License-Identifier: MIT */
/*
 * Which socket a TLS connection runs over. Proven where bytes pass a socket
 * within a call on the connection. Where the program moves the bytes itself
 * (memory BIOs, ciphers alone), inferred: what the thread received last
 * before it reads, or where it sends next after it wrote.
 */
#ifndef AGENTSIGHT_BINDING_BPF_H
#define AGENTSIGHT_BINDING_BPF_H

#include "connection.bpf.h"
#include "socket.bpf.h"

/* A socket to bind to. The sock may be gone by then: it is never trusted, only compared. */
struct place {
	__u64 sock;
	struct endpoint endpoint;
};

static __always_inline void read_place(struct sock *sk, struct place *place)
{
	place->sock = (__u64)sk;
	read_endpoint(sk, &place->endpoint);
}

/* Memory that was a socket's holds its inode number no longer, or belongs to a socket that was closed. */
static __always_inline bool is_bound_socket_open(struct connection *connection)
{
	return socket_inode((struct sock *)connection->sock) == connection->socket;
}

static __always_inline void send_endpoint(struct cpu_state *cpu, struct traced *entry, struct connection *connection,
					  const struct endpoint *endpoint)
{
	struct tls_endpoint record = {
		.connection = connection->id,
		.evidence = connection->evidence,
		.library = connection->library,
	};

	fill_header(&record.header, RECORD_TLS_ENDPOINT, bpf_get_current_task_btf(), entry->root);
	record.endpoint = *endpoint;
	send_record(cpu, &record.header, sizeof(record));
}

/* An object over a second socket, after its first was closed, is a second connection: not every free is seen. */
static __always_inline void restart_connection(struct cpu_state *cpu, struct traced *entry, struct connection *connection)
{
	send_close(cpu, entry, connection);
	connection->id = next_connection(cpu);
	connection->is_told = 0;
	connection->carried[IO_READ] = 0;
	connection->carried[IO_WRITE] = 0;
	connection->references = 0;
	connection->handshake = HANDSHAKE_NONE;
}

/*
 * The last binding wins, with one exception: what is inferred does not replace
 * what is proven and still open, and of a connection that has carried bytes it
 * takes two in a row. A receive on a socket without TLS, or one that another
 * thread's call should have had, then changes nothing.
 */
static __noinline int bind_connection(struct traced *entry, struct connection *connection,
				      const struct place *place, __u32 evidence)
{
	__u64 socket = place->endpoint.socket;
	struct cpu_state *cpu = this_cpu_state();

	if (!cpu || socket == 0)
		return 0;
	if (connection->socket == socket) {
		connection->candidate = 0;
		if (evidence > connection->evidence)
			connection->evidence = evidence;
		return 0;
	}
	if (connection->socket != 0 && is_bound_socket_open(connection)) {
		if (evidence < connection->evidence)
			return 0;
		if (evidence == EVIDENCE_INFERRED && has_carried(connection) && connection->candidate != socket) {
			connection->candidate = socket;
			return 0;
		}
	} else if (connection->socket != 0 && has_carried(connection)) {
		restart_connection(cpu, entry, connection);
	}
	connection->candidate = 0;
	connection->socket = socket;
	connection->sock = place->sock;
	connection->evidence = evidence;
	connection->is_left_out = !is_selected_port(place->endpoint.local_port, place->endpoint.remote_port);
	/* What passed before its port was known went out: this tells user space to leave it out. */
	if (connection->is_left_out && !connection->is_told)
		return 0;
	connection->is_told = 1;
	send_endpoint(cpu, entry, connection, &place->endpoint);
	return 0;
}

#endif
