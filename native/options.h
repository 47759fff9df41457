// SPDX-License-Identifier: MIT
// What one capture is opened with: src/addon.ts has the words for each.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace agentsight {

// What becomes a traced root by itself, and what of the traced processes is kept.
struct Selection {
  std::vector<std::string> comms;
  std::vector<std::string> exes;
  std::vector<std::string> cgroups;
  std::vector<std::string> containers;
  std::vector<uint32_t> uids;
  std::vector<uint32_t> ports;
  bool follow = true;
};

struct CaptureOptions {
  // Program families by name; "process" says only whether its records are wanted, it is always loaded.
  std::set<std::string, std::less<>> families;
  uint64_t ring_bytes = 0;
  uint32_t payload_bytes_per_call = 0;
  uint32_t stdio_bytes_per_call = 0;
  bool all_fds = false;
  std::vector<uint32_t> plain_ports;  // at most MAX_PLAIN_PORTS
  std::vector<uint32_t> fds;
  Selection selection;
  uint64_t queued_bytes = 0;
  bool ignore_socket_tracepoints = false;
};

}  // namespace agentsight
