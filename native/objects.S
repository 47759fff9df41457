/* SPDX-License-Identifier: MIT */
/* The compiled BPF programs, as bytes of the addon. The include path says for which machine. */
	.section .rodata
	.global bpf_object_bytes
	.hidden bpf_object_bytes
	.type bpf_object_bytes, STT_OBJECT
	.balign 16
bpf_object_bytes:
	.incbin "agentsight.bpf.o"
bpf_object_bytes_end:
	.size bpf_object_bytes, . - bpf_object_bytes
	.global bpf_object_size
	.hidden bpf_object_size
	.type bpf_object_size, STT_OBJECT
	.balign 8
bpf_object_size:
	.quad bpf_object_bytes_end - bpf_object_bytes
	.size bpf_object_size, 8
	.section .note.GNU-stack, "", %progbits
