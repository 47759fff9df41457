// SPDX-License-Identifier: MIT
// The reading side of a BPF ring buffer, mapped. One thread reads; position
// questions may come from any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "native/error.h"

namespace agentsight {

class RingReader {
 public:
  RingReader() = default;
  ~RingReader();
  RingReader(const RingReader&) = delete;
  RingReader& operator=(const RingReader&) = delete;

  Failure Open(int map_fd, size_t ring_bytes);

  enum class Step { kRecord, kSkipped, kEmpty };
  // Moves to the next finished record. kEmpty: there is none yet.
  Step Next();
  // Of the record that Next() has moved to; its bytes are there until Publish().
  size_t record_bytes() const { return record_bytes_; }
  void Copy(uint8_t* to) const;
  // Gives what was read back to the kernel.
  void Publish();

  // End of what Next() has passed; of what the programs have reserved.
  uint64_t read_position() const { return position_; }
  uint64_t write_position() const;

 private:
  uint8_t* consumer_page_ = nullptr;
  uint8_t* producer_pages_ = nullptr;
  size_t ring_bytes_ = 0;
  size_t page_bytes_ = 0;
  uint64_t position_ = 0;
  size_t record_start_ = 0;
  size_t record_bytes_ = 0;
};

}  // namespace agentsight
