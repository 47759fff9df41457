// SPDX-License-Identifier: MIT
// Detaches uprobes away from the JavaScript thread. The kernel waits 30 to
// 100 ms for each (it lets every running program end first), so that they go
// in parallel. JavaScript thread only; its end waits for the detaches.
#pragma once

#include <future>
#include <vector>

#include "native/link.h"

namespace agentsight {

class LinkReaper {
 public:
  void Take(std::vector<Link> links);

 private:
  std::vector<std::future<void>> running_;
};

}  // namespace agentsight
