// SPDX-License-Identifier: MIT
// Moves records from the ring to JavaScript. Its own thread touches the ring;
// the JavaScript thread touches JavaScript; they meet at one bounded queue of
// batches. Owned by a Capture and, while it runs, by its thread-safe function:
// methods are for the JavaScript thread unless they say otherwise.
#pragma once

#include <napi.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "native/fd.h"
#include "native/ring_reader.h"

namespace agentsight {

struct DrainCounters {
  uint64_t batches = 0;
  uint64_t records = 0;
  uint64_t bytes = 0;
  uint64_t stalls = 0;
};

class Drain : public std::enable_shared_from_this<Drain> {
 public:
  explicit Drain(size_t queued_bytes_limit) : queued_bytes_limit_(queued_bytes_limit) {}
  ~Drain();

  Failure Open(int ring_fd, size_t ring_bytes);
  Failure Start(Napi::Env env, Napi::Function on_batch);
  bool started() const { return started_; }
  // A promise of all that the ring holds now.
  Napi::Value Flush(Napi::Env env);
  DrainCounters counters();
  // Ends the thread, drops what is queued, settles promises. Safe twice.
  void Close(Napi::Env env);

 private:
  struct Batch {
    std::unique_ptr<uint8_t[]> data;
    size_t size = 0;
    size_t records = 0;
  };
  struct Waiter {
    uint64_t target;
    Napi::Promise::Deferred deferred;
  };

  static void CallJs(Napi::Env env, Napi::Function on_batch, Drain* drain, void* data);
  using Notifier = Napi::TypedThreadSafeFunction<Drain, void, CallJs>;

  // Drain thread.
  void Run();
  size_t Pass();
  void HandOver(std::unique_lock<std::mutex>& lock);
  void HandOverRest();
  void Notify(std::unique_lock<std::mutex>& lock);
  void Rest(bool busy);
  Batch NewBatch();

  // Either thread.
  void Stop();
  void Wake();

  // JavaScript thread.
  void Deliver(Napi::Env env, Napi::Function on_batch);
  void DeliverNextTurn(Napi::Env env, Napi::Function on_batch);
  // False: there was none.
  bool DeliverOne(Napi::Env env, Napi::Function on_batch);
  void SettleWaiters(Napi::Env env);

  const size_t queued_bytes_limit_;
  size_t ring_bytes_ = 0;
  RingReader reader_;
  Fd ring_fd_;
  Fd wake_fd_;
  std::thread thread_;
  Notifier notifier_;
  bool started_ = false;
  bool closed_ = false;
  std::vector<Waiter> waiters_;

  // Drain thread only.
  Batch current_;
  uint64_t passed_bytes_ = 0;  // by the last pass

  std::mutex mutex_;
  std::condition_variable room_;
  // Below: under mutex_.
  std::deque<Batch> queue_;
  std::vector<Batch> spare_;
  size_t queued_bytes_ = 0;
  uint64_t handed_position_ = 0;
  uint64_t flush_position_ = 0;
  bool notified_ = false;
  bool stopping_ = false;
  DrainCounters counters_;
};

}  // namespace agentsight
