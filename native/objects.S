/* SPDX-License-Identifier: MIT */
/* The compiled BPF programs, as bytes of the addon. The include path says for which machine. */
.macro embed name, file
	.global \name\()_object
	.hidden \name\()_object
	.type \name\()_object, STT_OBJECT
	.balign 16
\name\()_object:
	.incbin "\file"
\name\()_object_end:
	.size \name\()_object, . - \name\()_object
	.global \name\()_object_size
	.hidden \name\()_object_size
	.type \name\()_object_size, STT_OBJECT
	.balign 8
\name\()_object_size:
	.quad \name\()_object_end - \name\()_object
	.size \name\()_object_size, 8
.endm

	.section .rodata
	embed file, "file.bpf.o"
	embed net, "net.bpf.o"
	embed process, "process.bpf.o"
	embed stdio, "stdio.bpf.o"
	embed tls, "tls.bpf.o"
	embed endpoint, "endpoint.bpf.o"
	embed aead, "aead.bpf.o"
	embed go, "go.bpf.o"
	embed signal, "signal.bpf.o"
	embed readline, "readline.bpf.o"
	.section .note.GNU-stack, "", %progbits
