// SPDX-License-Identifier: MIT
// Owns an attached program; detaches when destroyed. Any one thread.
#pragma once

#include <bpf/libbpf.h>

#include <memory>
#include <utility>

#include "native/fd.h"

namespace agentsight {

class Link {
 public:
  Link() = default;
  // Null: none.
  explicit Link(bpf_link* link) : link_(link) {}
  explicit Link(Fd fd) : fd_(std::move(fd)) {}

  explicit operator bool() const { return link_ != nullptr || fd_.valid(); }

 private:
  struct Deleter {
    void operator()(bpf_link* link) const { bpf_link__destroy(link); }
  };
  std::unique_ptr<bpf_link, Deleter> link_;
  Fd fd_;
};

}  // namespace agentsight
