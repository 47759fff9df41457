// SPDX-License-Identifier: MIT
#include "native/ring_reader.h"

#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace agentsight {
namespace {

// The positions are the kernel's unsigned long.
uint64_t LoadAcquire(const void* address) {
  return __atomic_load_n(static_cast<const unsigned long*>(address), __ATOMIC_ACQUIRE);
}

Error MapError() {
  return {"BPF_LOAD_FAILED", "could not map the ring buffer: " + ErrnoText(errno)};
}

}  // namespace

RingReader::~RingReader() {
  if (consumer_page_ != nullptr) munmap(consumer_page_, page_bytes_);
  if (producer_pages_ != nullptr) munmap(producer_pages_, page_bytes_ + ring_bytes_);
}

Failure RingReader::Open(int map_fd, size_t ring_bytes) {
  page_bytes_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  ring_bytes_ = ring_bytes;
  void* consumer = mmap(nullptr, page_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
  if (consumer == MAP_FAILED) return MapError();
  consumer_page_ = static_cast<uint8_t*>(consumer);
  // The kernel offers the data twice in a row, so that no record is split at the end. We copy
  // records anyway, in two parts where one is: a second mapping would count as resident memory.
  void* producer = mmap(nullptr, page_bytes_ + ring_bytes_, PROT_READ, MAP_SHARED, map_fd,
                        static_cast<off_t>(page_bytes_));
  if (producer == MAP_FAILED) return MapError();
  producer_pages_ = static_cast<uint8_t*>(producer);
  position_ = LoadAcquire(consumer_page_);
  return std::nullopt;
}

uint64_t RingReader::write_position() const { return LoadAcquire(producer_pages_); }

RingReader::Step RingReader::Next() {
  if (position_ >= write_position()) return Step::kEmpty;
  const size_t start = position_ & (ring_bytes_ - 1);
  const uint8_t* header = producer_pages_ + page_bytes_ + start;
  const uint32_t length = __atomic_load_n(reinterpret_cast<const uint32_t*>(header), __ATOMIC_ACQUIRE);
  // Reserved and not yet submitted: everything behind it waits, order holds.
  if ((length & BPF_RINGBUF_BUSY_BIT) != 0) return Step::kEmpty;
  record_bytes_ = length & ~BPF_RINGBUF_DISCARD_BIT;
  // Headers are eight bytes at a multiple of eight: never split, but one may end where the ring does.
  record_start_ = (start + BPF_RINGBUF_HDR_SZ) & (ring_bytes_ - 1);
  position_ += (record_bytes_ + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
  return (length & BPF_RINGBUF_DISCARD_BIT) != 0 ? Step::kSkipped : Step::kRecord;
}

void RingReader::Copy(uint8_t* to) const {
  const uint8_t* ring = producer_pages_ + page_bytes_;
  const size_t before_end = std::min(record_bytes_, ring_bytes_ - record_start_);
  memcpy(to, ring + record_start_, before_end);
  memcpy(to + before_end, ring, record_bytes_ - before_end);
}

void RingReader::Publish() {
  __atomic_store_n(reinterpret_cast<unsigned long*>(consumer_page_), position_, __ATOMIC_RELEASE);
}

}  // namespace agentsight
