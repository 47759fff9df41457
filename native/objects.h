// SPDX-License-Identifier: MIT
// The compiled BPF programs that objects.S embeds.
#pragma once

#include <cstdint>

extern "C" {
extern const unsigned char file_object[];
extern const uint64_t file_object_size;
extern const unsigned char net_object[];
extern const uint64_t net_object_size;
extern const unsigned char process_object[];
extern const uint64_t process_object_size;
extern const unsigned char stdio_object[];
extern const uint64_t stdio_object_size;
extern const unsigned char tls_object[];
extern const uint64_t tls_object_size;
extern const unsigned char endpoint_object[];
extern const uint64_t endpoint_object_size;
extern const unsigned char aead_object[];
extern const uint64_t aead_object_size;
extern const unsigned char go_object[];
extern const uint64_t go_object_size;
extern const unsigned char signal_object[];
extern const uint64_t signal_object_size;
extern const unsigned char readline_object[];
extern const uint64_t readline_object_size;
}
