// SPDX-License-Identifier: MIT
#include "native/ring_reader.h"

#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

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
  if (producer_pages_ != nullptr) munmap(producer_pages_, page_bytes_ + 2 * ring_bytes_);
}

Failure RingReader::Open(int map_fd, size_t ring_bytes) {
  page_bytes_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  ring_bytes_ = ring_bytes;
  void* consumer = mmap(nullptr, page_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
  if (consumer == MAP_FAILED) return MapError();
  consumer_page_ = static_cast<uint8_t*>(consumer);
  // The kernel maps the data twice in a row, so that no record is split at the end.
  void* producer = mmap(nullptr, page_bytes_ + 2 * ring_bytes_, PROT_READ, MAP_SHARED, map_fd,
                        static_cast<off_t>(page_bytes_));
  if (producer == MAP_FAILED) return MapError();
  producer_pages_ = static_cast<uint8_t*>(producer);
  position_ = LoadAcquire(consumer_page_);
  return std::nullopt;
}

uint64_t RingReader::write_position() const { return LoadAcquire(producer_pages_); }

RingReader::Step RingReader::Next(std::span<const uint8_t>* record) {
  if (position_ >= write_position()) return Step::kEmpty;
  const uint8_t* header = producer_pages_ + page_bytes_ + (position_ & (ring_bytes_ - 1));
  const uint32_t length = __atomic_load_n(reinterpret_cast<const uint32_t*>(header), __ATOMIC_ACQUIRE);
  // Reserved and not yet submitted: everything behind it waits, order holds.
  if ((length & BPF_RINGBUF_BUSY_BIT) != 0) return Step::kEmpty;
  const uint32_t bytes = length & ~BPF_RINGBUF_DISCARD_BIT;
  position_ += (bytes + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
  if ((length & BPF_RINGBUF_DISCARD_BIT) != 0) return Step::kSkipped;
  *record = {header + BPF_RINGBUF_HDR_SZ, bytes};
  return Step::kRecord;
}

void RingReader::Publish() {
  __atomic_store_n(reinterpret_cast<unsigned long*>(consumer_page_), position_, __ATOMIC_RELEASE);
}

}  // namespace agentsight
