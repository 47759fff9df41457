// SPDX-License-Identifier: MIT
// Attaching through uprobe_multi links (Linux 6.6), which libbpf 1.1 does not
// know: several detach side by side. Those of perf wait for each other, 90 ms
// each: with OpenSSL and Node hooked, a trace took 1.2 s to end. Any thread; no
// state.
#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <string>

#include "native/link.h"

namespace agentsight {

bool HasUprobeMulti();

// Before its load: it is then attached by AttachUprobeMulti alone.
int PrepareUprobeMulti(bpf_program* program);

struct UprobePlace {
  std::string path;
  uint64_t offset = 0;
  int pid = -1;  // -1: every process
  bool is_return = false;
};

// None, and errno, when it could not.
Link AttachUprobeMulti(const bpf_program* program, const UprobePlace& place);

}  // namespace agentsight
