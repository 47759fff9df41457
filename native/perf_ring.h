// SPDX-License-Identifier: MIT
// The memory-map records of one cpu: a system-wide perf event and its mapped
// ring. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "native/error.h"
#include "native/fd.h"

namespace agentsight {

// A file that some process has mapped executable. `path` is valid during the call.
struct MapRecord {
  uint32_t pid = 0;
  uint64_t start = 0;
  uint64_t length = 0;
  uint32_t major = 0;
  uint32_t minor = 0;
  uint64_t inode = 0;
  std::string_view path;
};

class PerfRing {
 public:
  using OnMap = std::function<void(const MapRecord&)>;

  PerfRing() = default;
  ~PerfRing();
  PerfRing(PerfRing&& other) noexcept;
  PerfRing(const PerfRing&) = delete;
  PerfRing& operator=(const PerfRing&) = delete;

  Failure Open(int cpu);
  int fd() const { return fd_.get(); }
  // Calls for each record of a file that is there. Returns how many the kernel dropped since.
  uint64_t Read(const OnMap& on_map);

 private:
  Fd fd_;
  uint8_t* pages_ = nullptr;
  size_t page_bytes_ = 0;
  // One record, made contiguous where it wraps.
  std::vector<uint8_t> record_;
};

}  // namespace agentsight
