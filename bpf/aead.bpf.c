/* SPDX-License-Identifier: MIT */
/*
 * Plaintext of rustls, at the ciphers of AWS-LC or ring: rustls itself is inlined
 * into the program that uses it. What passes there are TLS records, one by one. Plaintext
 * is read at the entry of seal, which encrypts in place, and at the return of open.
 *
 * A connection has two traffic keys, each of which is a connection to us; user
 * space puts those of one socket together (src/decode/join.ts). A key is known
 * by a hash of its first bytes in memory: contexts are moved and their memory is
 * used again, a key is not. The hash stays in the kernel.
 *
 * Others use the same functions (QUIC, tickets, files): what has not the
 * additional data of a TLS record, to the byte, is counted and left alone.
 */
#include "calls.bpf.h"

char LICENSE[] __weak SEC("license") = "Dual MIT/GPL";

#define TAG_BYTES 16
#define TLS_ALERT 21
#define TLS_APPLICATION_DATA 23
/* RFC 8446, 5.2: type, version and length of the record. */
#define AD_BYTES_TLS13 5
/* RFC 5246, 6.2.3.3: number, type, version and length of the plaintext. */
#define AD_BYTES_TLS12 13
/* RFC 8446, 5.4: a record's plaintext with its type, the limit for data, type and padding. */
#define MAX_INNER_BYTES 16385
#define KEY_WORDS 12

/* The open that a thread is in. None is nested in another. */
struct opening {
	__u64 key;
	__u64 buffer;
	__u64 length;	/* AWS-LC: size_t * that open fills; ring: of the plaintext */
	__u64 content;	/* enum record_content */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct opening);
} openings SEC(".maps");

struct record {
	__u64 key;	/* where the key is in memory */
	__u64 buffer;
	__u64 length;	/* of the plaintext */
	__u64 ad;
	__u64 ad_length;
};

enum record_content {
	RECORD_OF_FOREIGN,	/* no TLS record */
	RECORD_OF_OTHER,		/* of a handshake */
	RECORD_OF_DATA,
	RECORD_OF_ALERT,
	RECORD_OF_INNER,		/* TLS 1.3: the plaintext says it */
};

static __always_inline __u64 big_endian(const __u8 *bytes)
{
	return (__u32)bytes[0] << 8 | bytes[1];
}

static __always_inline enum record_content content_of_type(__u8 type)
{
	if (type == TLS_APPLICATION_DATA)
		return RECORD_OF_DATA;
	return type == TLS_ALERT ? RECORD_OF_ALERT : RECORD_OF_OTHER;
}

static __always_inline enum record_content content_of(const struct record *record)
{
	__u8 ad[AD_BYTES_TLS12];

	if (record->length == 0 || record->length > MAX_INNER_BYTES)
		return RECORD_OF_FOREIGN;
	if (record->ad_length == AD_BYTES_TLS13) {
		if (bpf_probe_read_user(ad, AD_BYTES_TLS13, (const void *)record->ad))
			return RECORD_OF_FOREIGN;
		if (ad[0] != TLS_APPLICATION_DATA || ad[1] != 3 || ad[2] != 3 ||
		    big_endian(&ad[3]) != record->length + TAG_BYTES)
			return RECORD_OF_FOREIGN;
		return RECORD_OF_INNER;
	}
	if (record->ad_length != AD_BYTES_TLS12 || bpf_probe_read_user(ad, AD_BYTES_TLS12, (const void *)record->ad))
		return RECORD_OF_FOREIGN;
	if (ad[8] < 20 || ad[8] > 24 || ad[9] != 3 || ad[10] != 3 || big_endian(&ad[11]) != record->length)
		return RECORD_OF_FOREIGN;
	return content_of_type(ad[8]);
}

/* 0 when it cannot be read. */
static __always_inline __u64 hash_of_key(__u64 at)
{
	__u64 words[KEY_WORDS];
	__u64 hash = 0xcbf29ce484222325;
	int index;

	if (bpf_probe_read_user(words, sizeof(words), (const void *)at))
		return 0;
	for (index = 0; index < KEY_WORDS; index++) {
		hash = (hash ^ words[index]) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 29;
	}
	return hash;
}

struct inner {
	__u64 buffer;
	__u32 length;
	__u8 type;
};

/* A bpf_loop() step back over padding, which is zeros: the last byte that is none is the type. */
static long skip_padding(__u32 index, struct inner *inner)
{
	if (inner->length == 0)
		return 1;
	inner->length--;
	if (bpf_probe_read_user(&inner->type, 1, (const void *)(inner->buffer + inner->length)))
		return 1;
	return inner->type != 0;
}

static __always_inline struct connection *connection_of_key(struct cpu_state *cpu, struct traced *entry, __u64 key)
{
	struct connection *connection = connection_of(cpu, entry, key);

	if (connection)
		connection->library = TLS_RUSTLS;
	return connection;
}

/*
 * The plaintext of one record. Nearly every alert is the peer's or our word that
 * this direction has ended (close_notify); the others end it as well.
 */
static __always_inline int on_plaintext(struct traced *entry, struct cpu_state *cpu, enum record_content content,
					__u64 key, __u32 direction, __u64 buffer, __u32 length)
{
	struct inner inner = { .buffer = buffer, .length = length };
	struct connection *connection;
	struct thread_calls *thread;

	if (content == RECORD_OF_INNER) {
		bpf_loop(MAX_INNER_BYTES, skip_padding, &inner, 0);
		content = content_of_type(inner.type);
	}
	if (content == RECORD_OF_ALERT)
		close_connection(cpu, entry, key);
	if (content != RECORD_OF_DATA || inner.length == 0)
		return 0;
	thread = thread_calls(cpu);
	connection = connection_of_key(cpu, entry, key);
	if (!thread || !connection)
		return 0;
	if (direction == IO_READ)
		take_received(cpu, entry, thread, key);
	send_data(cpu, entry, connection, direction, TLS_RUSTLS, buffer, inner.length);
	if (direction == IO_WRITE)
		await_send(thread, connection, key, inner.length);
	return 0;
}

/* RECORD_OF_FOREIGN is counted here. */
static __always_inline enum record_content counted_content_of(struct cpu_state *cpu, const struct record *record)
{
	enum record_content content = content_of(record);

	if (content == RECORD_OF_FOREIGN)
		count(cpu, COUNT_TLS, COUNT_FOREIGN, 1);
	return content;
}

static __always_inline int sealed(const struct record *record)
{
	struct traced *entry = traced_entry();
	struct cpu_state *cpu = this_cpu_state();
	enum record_content content;
	__u64 key;

	if (!entry || !cpu)
		return 0;
	content = counted_content_of(cpu, record);
	if (content == RECORD_OF_FOREIGN || content == RECORD_OF_OTHER)
		return 0;
	key = hash_of_key(record->key);
	if (key == 0) {
		count(cpu, COUNT_TLS, COUNT_READ_FAULT, 1);
		return 0;
	}
	return on_plaintext(entry, cpu, content, key, IO_WRITE, record->buffer, record->length);
}

static __always_inline int open_begins(const struct record *record, __u64 length)
{
	struct cpu_state *cpu = this_cpu_state();
	struct opening *opening;

	if (!traced_entry() || !cpu)
		return 0;
	opening = bpf_task_storage_get(&openings, bpf_get_current_task_btf(), NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!opening) {
		count(cpu, COUNT_TLS, COUNT_MAP_FULL, 1);
		return 0;
	}
	opening->key = 0;
	opening->content = counted_content_of(cpu, record);
	if (opening->content == RECORD_OF_FOREIGN || opening->content == RECORD_OF_OTHER)
		return 0;
	opening->buffer = record->buffer;
	opening->length = length;
	opening->key = hash_of_key(record->key);
	if (opening->key == 0)
		count(cpu, COUNT_TLS, COUNT_READ_FAULT, 1);
	return 0;
}

/* The nth argument on the stack, from 0, at a function's entry. */
static __always_inline __u64 stack_argument(struct pt_regs *regs, int number)
{
	__u64 value = 0;

	bpf_probe_read_user(&value, sizeof(value), (const void *)(PT_REGS_SP(regs) + 8 + 8 * number));
	return value;
}

/* int EVP_AEAD_CTX_seal(ctx, out, out_len, max_out_len, nonce, nonce_len, in, in_len, ad, ad_len) */
SEC("uprobe")
int BPF_KPROBE(aead_seal_enter, __u64 key)
{
	struct record record = {
		.key = key,
		.buffer = stack_argument(ctx, 0),
		.length = stack_argument(ctx, 1),
		.ad = stack_argument(ctx, 2),
		.ad_length = stack_argument(ctx, 3),
	};

	return sealed(&record);
}

/*
 * int EVP_AEAD_CTX_seal_scatter(ctx, out, out_tag, out_tag_len, max_out_tag_len, nonce,
 *                               nonce_len, in, in_len, extra_in, extra_in_len, ad, ad_len)
 */
SEC("uprobe")
int BPF_KPROBE(aead_seal_scatter_enter, __u64 key)
{
	struct record record = {
		.key = key,
		.buffer = stack_argument(ctx, 1),
		.length = stack_argument(ctx, 2),
		.ad = stack_argument(ctx, 5),
		.ad_length = stack_argument(ctx, 6),
	};

	return sealed(&record);
}

/* int EVP_AEAD_CTX_open(ctx, out, out_len, max_out_len, nonce, nonce_len, in, in_len, ad, ad_len) */
SEC("uprobe")
int BPF_KPROBE(aead_open_enter, __u64 key, __u64 out, __u64 out_length)
{
	struct record record = {
		.key = key,
		.buffer = out,
		.length = stack_argument(ctx, 1) - TAG_BYTES,
		.ad = stack_argument(ctx, 2),
		.ad_length = stack_argument(ctx, 3),
	};

	return open_begins(&record, out_length);
}

/* The open that this thread comes back from, once; NULL where it is none of ours. */
static __always_inline struct opening *take_opening(__u64 *key)
{
	struct opening *opening = bpf_task_storage_get(&openings, bpf_get_current_task_btf(), NULL, 0);

	if (!opening || opening->key == 0)
		return NULL;
	*key = opening->key;
	opening->key = 0;
	return opening;
}

SEC("uretprobe")
int aead_open_exit(struct pt_regs *ctx)
{
	struct traced *entry = traced_entry();
	struct cpu_state *cpu = this_cpu_state();
	struct opening *opening;
	__u64 length, key;

	if (!entry || !cpu)
		return 0;
	opening = take_opening(&key);
	/* 1: the tag was right. */
	if (!opening || (int)PT_REGS_RC(ctx) != 1)
		return 0;
	if (bpf_probe_read_user(&length, sizeof(length), (const void *)opening->length)) {
		count(cpu, COUNT_TLS, COUNT_READ_FAULT, 1);
		return 0;
	}
	if (length > MAX_INNER_BYTES)
		return 0;
	return on_plaintext(entry, cpu, opening->content, key, IO_READ, opening->buffer, length);
}

/*
 * ring's ciphers are functions of Rust, whose calling convention nobody promises.
 * Compilers from 1.63 on agree on this one: the result's place first, what is
 * larger than a word by its address, a slice as address and length. User space
 * finds these functions on x86-64 alone. Whoever calls open compares the tag
 * itself, afterwards: the bytes of a forged record would show as well.
 */
#if defined(__TARGET_ARCH_x86)
#define SIXTH_ARGUMENT(context) ((context)->r9)
#else
#define SIXTH_ARGUMENT(context) ((context)->regs[5])
#endif

/* Tag seal(key, nonce, additional data, in_out) */
SEC("uprobe")
int BPF_KPROBE(ring_seal_enter, __u64 tag, __u64 key, __u64 nonce, __u64 ad, __u64 ad_length)
{
	struct record record = {
		.key = key,
		.buffer = SIXTH_ARGUMENT(ctx),
		.length = stack_argument(ctx, 0),
		.ad = ad,
		.ad_length = ad_length,
	};

	return sealed(&record);
}

/* ring 0.17: Result<Tag> open(key, nonce, additional data, in_out, length of what is before the ciphertext) */
SEC("uprobe")
int BPF_KPROBE(ring_open_enter, __u64 tag, __u64 key, __u64 nonce, __u64 ad, __u64 ad_length)
{
	struct record record = {
		.key = key,
		.buffer = SIXTH_ARGUMENT(ctx),
		.length = stack_argument(ctx, 0) - stack_argument(ctx, 1),
		.ad = ad,
		.ad_length = ad_length,
	};

	return open_begins(&record, record.length);
}

/* ring 0.16: Tag open(key, nonce, additional data, length of what is before the ciphertext, in_out) */
SEC("uprobe")
int BPF_KPROBE(ring_open_old_enter, __u64 tag, __u64 key, __u64 nonce, __u64 ad, __u64 ad_length)
{
	struct record record = {
		.key = key,
		.buffer = stack_argument(ctx, 0),
		.length = stack_argument(ctx, 1) - SIXTH_ARGUMENT(ctx),
		.ad = ad,
		.ad_length = ad_length,
	};

	return open_begins(&record, record.length);
}

/* The plaintext begins where the buffer does. */
SEC("uretprobe")
int ring_open_exit(struct pt_regs *ctx)
{
	struct traced *entry = traced_entry();
	struct cpu_state *cpu = this_cpu_state();
	struct opening *opening;
	__u64 key;

	if (!entry || !cpu)
		return 0;
	opening = take_opening(&key);
	if (!opening || opening->length > MAX_INNER_BYTES)
		return 0;
	return on_plaintext(entry, cpu, opening->content, key, IO_READ, opening->buffer, opening->length);
}
