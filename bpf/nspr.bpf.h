/* SPDX-License-Identifier: MIT */
/*
 * Which NSPR files are TLS. NSS speaks TLS as a layer in the stack of layers
 * below a PRFileDesc; what passes the top of such a stack is plaintext. A
 * layer is NSS's when its functions lie in libssl3.so: true of connections
 * made before we looked as well, and of stacks with further layers on top,
 * as Firefox has.
 */
#ifndef AGENTSIGHT_NSPR_BPF_H
#define AGENTSIGHT_NSPR_BPF_H

#include "connection.bpf.h"

/* Stacks are 1 to 3 layers high; what lies deeper is not looked at. */
#define MAX_LAYERS 4

/* NSPR's public ABI, prio.h: the members that we read. */
struct nspr_file {
	__u64 methods;
	__u64 secret;
	__u64 lower;
};

struct nspr_methods {
	__u64 file_type;
	__u64 close;
	__u64 read;
};

/* Tables of functions seen, by address: a process has about five. Value: whether it is NSS's. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_NSPR_METHODS);
	__type(key, struct connection_key);
	__type(value, __u32);
} nspr_methods SEC(".maps");

static long is_in_nss(struct task_struct *task, struct vm_area_struct *area, __u32 *answer)
{
	static const char library[] = "libssl3.so";
	char name[sizeof(library)] = {};
	struct file *file = area->vm_file;
	unsigned int index;

	if (!file)
		return 0;
	if (bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(file, f_path.dentry, d_name.name)) < 0)
		return 0;
	for (index = 0; index < sizeof(library); index++)
		if (name[index] != library[index])
			return 0;
	*answer = 1;
	return 0;
}

static __always_inline bool is_nss_layer(struct traced *entry, __u64 address)
{
	struct connection_key key = connection_key(entry, address);
	__u32 *known = bpf_map_lookup_elem(&nspr_methods, &key);
	struct nspr_methods methods;
	__u32 answer = 0;

	if (known)
		return *known;
	if (bpf_probe_read_user(&methods, sizeof(methods), (const void *)address))
		return false;
	/* Busy: unknown this time, asked again the next. */
	if (bpf_find_vma(bpf_get_current_task_btf(), methods.read, is_in_nss, &answer, 0))
		return false;
	bpf_map_update_elem(&nspr_methods, &key, &answer, BPF_ANY);
	return answer;
}

static __always_inline bool is_tls_file(struct traced *entry, __u64 address)
{
	struct nspr_file file;
	int layer;

	for (layer = 0; layer < MAX_LAYERS; layer++) {
		if (address == 0 || bpf_probe_read_user(&file, sizeof(file), (const void *)address))
			return false;
		if (is_nss_layer(entry, file.methods))
			return true;
		address = file.lower;
	}
	return false;
}

#endif
