// SPDX-License-Identifier: MIT
// Tells JavaScript which files traced processes map executable, as it happens.
// Its own thread reads the rings of all cpus; they meet at one bounded queue.
// Owned by a Capture and, while it runs, by its thread-safe function: methods
// are for the JavaScript thread unless they say otherwise.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "native/perf_ring.h"

namespace agentsight {

struct SidebandCounters {
  // Files mapped by traced processes that went to JavaScript.
  uint64_t mappings = 0;
  // Records that the kernel, or our queue, had no room for.
  uint64_t lost = 0;
};

class Sideband : public std::enable_shared_from_this<Sideband> {
 public:
  ~Sideband();

  // `traced` is the map of traced processes; it is duplicated.
  Failure Open(int traced_fd);
  void Start(Napi::Env env, Napi::Function on_mappings);
  SidebandCounters counters();
  // Ends the thread, drops what is queued. Safe twice.
  void Close();

 private:
  struct Mapping {
    uint32_t pid;
    std::string file;
    std::string path;
    std::string range;
  };

  static void CallJs(Napi::Env env, Napi::Function on_mappings, Sideband* sideband, void* data);
  using Notifier = Napi::TypedThreadSafeFunction<Sideband, void, CallJs>;

  // Its own thread.
  void Run();
  bool ReadRings();
  void Add(const MapRecord& record);
  // False: it is time to end.
  bool Wait(bool for_records, int timeout_ms);

  // Either thread.
  void Stop();

  // JavaScript thread.
  void Deliver(Napi::Env env, Napi::Function on_mappings);

  std::vector<PerfRing> rings_;
  Fd traced_fd_;
  Fd stop_fd_;
  std::thread thread_;
  Notifier notifier_;
  bool started_ = false;
  bool closed_ = false;

  // Its own thread only.
  std::vector<Mapping> found_;
  std::unordered_set<std::string> known_;

  std::mutex mutex_;
  // Below: under mutex_.
  std::vector<Mapping> queue_;
  bool notified_ = false;
  bool stopping_ = false;
  SidebandCounters counters_;
};

}  // namespace agentsight
