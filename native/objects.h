// SPDX-License-Identifier: MIT
// The compiled BPF programs that objects.S embeds.
#pragma once

#include <cstdint>

extern "C" {
extern const unsigned char process_object[];
extern const uint64_t process_object_size;
extern const unsigned char stdio_object[];
extern const uint64_t stdio_object_size;
extern const unsigned char tls_object[];
extern const uint64_t tls_object_size;
}
