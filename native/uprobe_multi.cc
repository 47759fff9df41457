// SPDX-License-Identifier: MIT
#include "native/uprobe_multi.h"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>

namespace agentsight {
namespace {

// From linux/bpf.h of 6.6; the header that we are built with may be older.
constexpr uint32_t kTraceUprobeMulti = 48;
constexpr uint32_t kReturn = 1;

// The part of union bpf_attr that BPF_LINK_CREATE reads.
struct LinkCreate {
  uint32_t prog_fd = 0;
  uint32_t target_fd = 0;
  uint32_t attach_type = kTraceUprobeMulti;
  uint32_t flags = 0;
  uint64_t path = 0;
  uint64_t offsets = 0;
  uint64_t ref_ctr_offsets = 0;
  uint64_t cookies = 0;
  uint32_t count = 0;
  uint32_t multi_flags = 0;
  uint32_t pid = 0;
  uint32_t reserved = 0;
};
static_assert(sizeof(LinkCreate) == 64);

}  // namespace

bool HasUprobeMulti() {
  utsname name;
  int major = 0, minor = 0;
  if (uname(&name) != 0 || sscanf(name.release, "%d.%d", &major, &minor) != 2) return false;
  return major > 6 || (major == 6 && minor >= 6);
}

int PrepareUprobeMulti(bpf_program* program) {
  return bpf_program__set_expected_attach_type(program, static_cast<bpf_attach_type>(kTraceUprobeMulti));
}

Link AttachUprobeMulti(const bpf_program* program, const UprobePlace& place) {
  LinkCreate create;
  create.prog_fd = static_cast<uint32_t>(bpf_program__fd(program));
  create.path = reinterpret_cast<uint64_t>(place.path.c_str());
  create.offsets = reinterpret_cast<uint64_t>(&place.offset);
  create.count = 1;
  create.multi_flags = place.is_return ? kReturn : 0;
  create.pid = place.pid > 0 ? static_cast<uint32_t>(place.pid) : 0;
  return Link(Fd(static_cast<int>(syscall(SYS_bpf, BPF_LINK_CREATE, &create, sizeof(create)))));
}

}  // namespace agentsight
