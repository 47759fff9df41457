// SPDX-License-Identifier: MIT
// Collects what libbpf says (the verifier's log among it) while it lives, on
// the thread that made it. libbpf has one print callback per process, so the
// collector of the calling thread is found through a thread-local pointer.
#pragma once

#include <string>

namespace agentsight {

class LibbpfLog {
 public:
  LibbpfLog();
  ~LibbpfLog();
  LibbpfLog(const LibbpfLog&) = delete;
  LibbpfLog& operator=(const LibbpfLog&) = delete;

  // The end of it where it was longer than we keep.
  const std::string& text() const { return text_; }

 private:
  friend struct LibbpfPrinter;
  std::string text_;
  LibbpfLog* outer_;
};

}  // namespace agentsight
