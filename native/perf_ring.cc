// SPDX-License-Identifier: MIT
#include "native/perf_ring.h"

#include <linux/perf_event.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace agentsight {
namespace {

// Some 1100 records of 115 bytes: the thread comes by every millisecond, and a
// cpu maps no more than some ten files executable in that time.
constexpr size_t kRingPages = 32;

// The fixed part of PERF_RECORD_MMAP2, before the path; linux/perf_event.h has no struct for it.
struct Mmap2 {
  perf_event_header header;
  uint32_t pid, tid;
  uint64_t start, length, page_offset;
  uint32_t major, minor;
  uint64_t inode, generation;
  uint32_t protection, flags;
};
static_assert(sizeof(Mmap2) == 72);

struct Lost {
  perf_event_header header;
  uint64_t id, lost;
};

bool IsExecutableFile(const Mmap2& map, std::string_view path) {
  // "//anon" and "[vdso]" have no inode.
  return (map.protection & PROT_EXEC) != 0 && map.inode != 0 && path.starts_with('/');
}

}  // namespace

PerfRing::~PerfRing() {
  if (pages_ != nullptr) munmap(pages_, page_bytes_ * (kRingPages + 1));
}

PerfRing::PerfRing(PerfRing&& other) noexcept
    : fd_(std::move(other.fd_)),
      pages_(std::exchange(other.pages_, nullptr)),
      page_bytes_(other.page_bytes_),
      record_(std::move(other.record_)) {}

Failure PerfRing::Open(int cpu) {
  perf_event_attr attr = {};
  attr.size = sizeof(attr);
  attr.type = PERF_TYPE_SOFTWARE;
  attr.config = PERF_COUNT_SW_DUMMY;
  // Executable mappings alone; mmap_data would bring the others.
  attr.mmap = 1;
  attr.mmap2 = 1;
  attr.watermark = 1;
  attr.wakeup_watermark = 1;
  const std::string what = "could not watch memory maps on cpu " + std::to_string(cpu) + ": ";
  fd_ = Fd(static_cast<int>(syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC)));
  if (!fd_.valid()) {
    const int number = errno;
    const bool denied = number == EPERM || number == EACCES;
    return Error{denied ? "PRIVILEGE_MISSING" : "KERNEL_UNSUPPORTED", what + ErrnoText(number),
                 denied ? "run as root, or grant CAP_PERFMON" : ""};
  }
  page_bytes_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* pages = mmap(nullptr, page_bytes_ * (kRingPages + 1), PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
  if (pages == MAP_FAILED) return Error{"KERNEL_UNSUPPORTED", what + ErrnoText(errno)};
  pages_ = static_cast<uint8_t*>(pages);
  return std::nullopt;
}

uint64_t PerfRing::Read(const OnMap& on_map) {
  auto* control = reinterpret_cast<perf_event_mmap_page*>(pages_);
  const uint8_t* data = pages_ + page_bytes_;
  const size_t ring_bytes = page_bytes_ * kRingPages;
  const uint64_t end = __atomic_load_n(&control->data_head, __ATOMIC_ACQUIRE);
  uint64_t position = control->data_tail;
  uint64_t lost = 0;
  while (position < end) {
    const size_t at = position % ring_bytes;
    // Records are multiples of 8 bytes: a header never wraps.
    perf_event_header header;
    memcpy(&header, data + at, sizeof(header));
    if (header.size < sizeof(header)) break;
    record_.resize(header.size);
    const size_t first = std::min<size_t>(header.size, ring_bytes - at);
    memcpy(record_.data(), data + at, first);
    memcpy(record_.data() + first, data, header.size - first);
    position += header.size;
    if (header.type == PERF_RECORD_LOST && header.size >= sizeof(Lost)) {
      lost += reinterpret_cast<const Lost*>(record_.data())->lost;
    } else if (header.type == PERF_RECORD_MMAP2 && header.size > sizeof(Mmap2)) {
      const Mmap2& map = *reinterpret_cast<const Mmap2*>(record_.data());
      const char* path = reinterpret_cast<const char*>(record_.data()) + sizeof(Mmap2);
      const std::string_view name(path, strnlen(path, header.size - sizeof(Mmap2)));
      if (IsExecutableFile(map, name)) {
        on_map({map.pid, map.start, map.length, map.major, map.minor, map.inode, name});
      }
    }
  }
  __atomic_store_n(&control->data_tail, end, __ATOMIC_RELEASE);
  return lost;
}

}  // namespace agentsight
