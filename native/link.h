// SPDX-License-Identifier: MIT
// Owns an attached program; detaches when destroyed. Any one thread.
#pragma once

#include <bpf/libbpf.h>

#include <memory>

namespace agentsight {

struct LinkDeleter {
  void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};
using Link = std::unique_ptr<bpf_link, LinkDeleter>;

}  // namespace agentsight
