// SPDX-License-Identifier: MIT
#include "native/link_reaper.h"

#include <algorithm>
#include <chrono>

namespace agentsight {
namespace {

// The waits overlap; more threads than this gain nothing.
constexpr size_t kMaxThreads = 16;

}  // namespace

void LinkReaper::Take(std::vector<Link> links) {
  std::erase_if(running_, [](const std::future<void>& detach) {
    return detach.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  });
  const size_t threads = std::min(links.size(), kMaxThreads);
  for (size_t index = 0; index < threads; index++) {
    std::vector<Link> share;
    for (size_t link = index; link < links.size(); link += threads) share.push_back(std::move(links[link]));
    running_.push_back(std::async(std::launch::async, [share = std::move(share)]() mutable { share.clear(); }));
  }
}

}  // namespace agentsight
