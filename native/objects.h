// SPDX-License-Identifier: MIT
// The compiled BPF programs that objects.S embeds: all of them in one object.
#pragma once

#include <cstdint>

extern "C" {
extern const unsigned char bpf_object_bytes[];
extern const uint64_t bpf_object_size;
}
