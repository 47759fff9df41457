// SPDX-License-Identifier: MIT
#include "native/selection.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace agentsight {
namespace {

template <size_t kSize>
void CopyText(const std::string& text, char (&field)[kSize]) {
  memcpy(field, text.data(), std::min(text.size(), kSize));
}

}  // namespace

config MakeConfig(const CaptureOptions& options) {
  const Selection& selection = options.selection;
  config values = {
      .payload_ring_bytes = options.ring_bytes / 8 * 7,
      .fds = {},
      .payload_bytes_per_call = options.payload_bytes_per_call,
      .stdio_bytes_per_call = options.stdio_bytes_per_call,
      .emit_process = options.families.contains("process") ? 1u : 0u,
      .all_fds = options.all_fds ? 1u : 0u,
      .page_bytes = static_cast<uint32_t>(sysconf(_SC_PAGESIZE)),
      .collector = static_cast<uint32_t>(getpid()),
      .follow = selection.follow ? 1u : 0u,
      .comm_count = static_cast<uint32_t>(selection.comms.size()),
      .exe_count = static_cast<uint32_t>(selection.exes.size()),
      .cgroup_count = static_cast<uint32_t>(selection.cgroups.size() + selection.containers.size()),
      .uid_count = static_cast<uint32_t>(selection.uids.size()),
      .port_count = static_cast<uint32_t>(selection.ports.size()),
      .uids = {},
      .ports = {},
      .plain_ports = {},
  };
  for (const uint32_t fd : options.fds) values.fds[fd / 64] |= uint64_t{1} << fd % 64;
  std::copy(selection.uids.begin(), selection.uids.end(), values.uids);
  std::copy(selection.ports.begin(), selection.ports.end(), values.ports);
  std::copy(options.plain_ports.begin(), options.plain_ports.end(), values.plain_ports);
  return values;
}

// Lengths and numbers were checked with the options.
int FillSelectors(const Selection& selection, const MapLookup& map_fd) {
  const uint32_t present = 1;
  int result = 0;
  for (const std::string& comm : selection.comms) {
    char key[16] = {};
    CopyText(comm, key);
    result = std::min(result, bpf_map_update_elem(map_fd("comms"), key, &present, BPF_ANY));
  }
  for (const std::string& exe : selection.exes) {
    exe_selector key = {};
    CopyText(exe, key.path);
    result = std::min(result, bpf_map_update_elem(map_fd("exes"), &key, &present, BPF_ANY));
  }
  uint32_t index = 0;
  const auto add = [&](const std::string& text, bool is_container) {
    cgroup_selector value = {.text = {}, .len = static_cast<uint32_t>(text.size()), .is_container = is_container ? 1u : 0u};
    CopyText(text, value.text);
    result = std::min(result, bpf_map_update_elem(map_fd("cgroup_selectors"), &index, &value, BPF_ANY));
    index++;
  };
  for (const std::string& cgroup : selection.cgroups) add(cgroup, false);
  for (const std::string& container : selection.containers) add(container, true);
  return result;
}

}  // namespace agentsight
