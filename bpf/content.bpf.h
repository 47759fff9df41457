/* SPDX-License-Identifier: MIT */
/*
 * What the first bytes of a stream are: plain HTTP/1 or HTTP/2, TLS, or
 * something else. Eight bytes decide; fewer may leave it open.
 */
#ifndef AGENTSIGHT_CONTENT_BPF_H
#define AGENTSIGHT_CONTENT_BPF_H

#include "common.bpf.h"

#define PREFIX_BYTES 8

/* Text of at most eight bytes as the number that reading it gives. */
#define WORD(text)									\
	((__u64)(__u8)(text)[0] | (__u64)(__u8)(text)[1] << 8 |				\
	 (__u64)(__u8)(text)[2] << 16 | (__u64)(__u8)(text)[3] << 24 |			\
	 (__u64)(__u8)(text)[4] << 32 | (__u64)(__u8)(text)[5] << 40 |			\
	 (__u64)(__u8)(text)[6] << 48 | (__u64)(__u8)(text)[7] << 56)

#define TLS_RECORD_HEADER_BYTES 5
#define TLS_HANDSHAKE 0x16
#define TLS_CLIENT_HELLO 1

/* As WORD, in the places that each SETTINGS frame has in common: all but the third byte, which is its length. */
#define SETTINGS_START WORD("\0\0\0\4\0\0\0\0")
#define SETTINGS_PLACES (~(0xffULL << 16))
#define SETTING_BYTES 6

static __always_inline __u64 low_bytes(__u64 value, __u32 bytes)
{
	return bytes >= PREFIX_BYTES ? value : value & ((1ULL << bytes * 8) - 1);
}

/* 2: begins with the word; 1: does so as far as it goes. */
static __always_inline int begins_with(__u64 prefix, __u32 len, __u64 word, __u32 word_len)
{
	__u32 common = len < word_len ? len : word_len;

	if (low_bytes(prefix ^ word, common) != 0)
		return 0;
	return len >= word_len ? 2 : 1;
}

/* Record types 20 to 23 of version 3.x, the first handshake message a ClientHello or not. */
static __always_inline int classify_tls(__u64 prefix, __u32 len)
{
	__u8 type = prefix;

	if (type < 0x14 || type > 0x17 || (len > 1 && (__u8)(prefix >> 8) != 3) || (len > 2 && (__u8)(prefix >> 16) > 4))
		return CONTENT_OTHER;
	if (len < 3 || (type == TLS_HANDSHAKE && len <= TLS_RECORD_HEADER_BYTES))
		return CONTENT_UNDECIDED;
	return type == TLS_HANDSHAKE && (__u8)(prefix >> 40) == TLS_CLIENT_HELLO ? CONTENT_HELLO : CONTENT_TLS;
}

/*
 * SETTINGS, which a server of HTTP/2 may send before it has read the preface: 2
 * or 1, as begins_with(). Eight of the nine bytes of its head are looked at, and they are
 * enough: less than 256 bytes, a multiple of six, of type 4, without flags, on
 * stream 0. Other protocols that begin with a length of four bytes say more than
 * zeros after it, as PostgreSQL its version; of Kafka it would be the first
 * version of its first request, which no program has sent for years.
 */
static __always_inline int begins_with_settings(__u64 prefix, __u32 len)
{
	if (low_bytes((prefix ^ SETTINGS_START) & SETTINGS_PLACES, len) != 0)
		return 0;
	if (len > 2 && (__u8)(prefix >> 16) % SETTING_BYTES != 0)
		return 0;
	return len >= PREFIX_BYTES ? 2 : 1;
}

static const struct {
	__u64 word;
	__u32 len;
	__u32 reserved;
} http_starts[] = {
	{ WORD("GET \0\0\0\0"), 4, 0 }, { WORD("POST \0\0\0"), 5, 0 }, { WORD("PUT \0\0\0\0"), 4, 0 },
	{ WORD("HEAD \0\0\0"), 5, 0 }, { WORD("DELETE \0"), 7, 0 }, { WORD("PATCH \0\0"), 6, 0 },
	{ WORD("OPTIONS "), 8, 0 }, { WORD("CONNECT "), 8, 0 }, { WORD("TRACE \0\0"), 6, 0 },
	{ WORD("HTTP/1.\0"), 7, 0 }, { WORD("PRI * HT"), 8, 0 },
};

/* len is 1 to 8. Global, as all that is called on many paths: it is verified once. */
__noinline int classify(__u64 prefix, __u32 len)
{
	bool is_open = false;
	int matched;

#pragma unroll
	for (__u32 i = 0; i < sizeof(http_starts) / sizeof(http_starts[0]); i++) {
		matched = begins_with(prefix, len, http_starts[i].word, http_starts[i].len);
		if (matched == 2)
			return CONTENT_HTTP;
		if (matched == 1)
			is_open = true;
	}
	matched = begins_with_settings(prefix, len);
	if (matched == 2)
		return CONTENT_HTTP;
	return is_open || matched == 1 ? CONTENT_UNDECIDED : classify_tls(prefix, len);
}

/* Bytes of the record that the ClientHello is in, its header included. */
static __always_inline __u32 hello_bytes(__u64 prefix)
{
	return TLS_RECORD_HEADER_BYTES + ((__u32)(__u8)(prefix >> 24) << 8 | (__u8)(prefix >> 32));
}

#endif
