// SPDX-License-Identifier: MIT
#include "native/drain.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>

#include "native/thread.h"

namespace agentsight {
namespace {

// Larger than the largest record (an exec with its texts), small enough to stay in the cache.
constexpr size_t kBatchBytes = 256 * 1024;
constexpr size_t kSpareBatches = 4;
// Batches that JavaScript is given before its event loop gets a turn: under a
// flood, writes of what was decoded must be able to complete.
constexpr size_t kBatchesPerTurn = 4;
// Reading gives the ring back in steps of this size: each step costs the
// programs a cache miss, a late one costs them room.
constexpr size_t kPublishBytes = 64 * 1024;
// Rest after a pass that found records. Programs wake us only for the record
// that follows an empty ring, so that a busy ring costs one wake-up per rest
// instead of one per record; an idle one is read at once.
constexpr int kRestMs = 1;
// The same while the ring stays nearly empty: each wake-up costs the collector
// as much as some ten records, and a build makes few records at a time. A ring
// of that size has room for what comes meanwhile at 500 MB a second.
constexpr int kQuietRestMs = 5;
constexpr size_t kQuietRingBytes = 4 * 1024 * 1024;
constexpr size_t kQuietShare = 64;

}  // namespace

Drain::~Drain() { Stop(); }

Failure Drain::Open(int ring_fd, size_t ring_bytes) {
  ring_fd_ = Fd(fcntl(ring_fd, F_DUPFD_CLOEXEC, 0));
  wake_fd_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!ring_fd_.valid() || !wake_fd_.valid()) {
    return Error{"BPF_LOAD_FAILED", "could not open the drain's descriptors: " + ErrnoText(errno)};
  }
  ring_bytes_ = ring_bytes;
  return reader_.Open(ring_fd_.get(), ring_bytes);
}

Failure Drain::Start(Napi::Env env, Napi::Function on_batch) {
  auto self = new std::shared_ptr<Drain>(shared_from_this());
  // The finalizer runs when the environment ends, too, and before the
  // function's memory is gone: the thread that calls it must end there.
  notifier_ = Notifier::New(
      env, on_batch, "agentsight drain", 0, 1, this,
      [](Napi::Env, std::shared_ptr<Drain>* owner, Drain*) {
        (*owner)->Stop();
        delete owner;
      },
      self);
  started_ = true;
  thread_ = StartThread("agentsight-ring", [this] { Run(); });
  return std::nullopt;
}

Napi::Value Drain::Flush(Napi::Env env) {
  auto deferred = Napi::Promise::Deferred::New(env);
  const uint64_t target = reader_.write_position();
  bool reached;
  {
    std::unique_lock lock(mutex_);
    reached = closed_ || (queue_.empty() && handed_position_ >= target);
    flush_position_ = std::max(flush_position_, target);
  }
  if (reached) {
    deferred.Resolve(env.Undefined());
    return deferred.Promise();
  }
  waiters_.push_back({target, deferred});
  Wake();
  return deferred.Promise();
}

DrainCounters Drain::counters() {
  std::unique_lock lock(mutex_);
  return counters_;
}

void Drain::Close(Napi::Env env) {
  if (closed_) return;
  closed_ = true;
  Stop();
  for (const Waiter& waiter : waiters_) waiter.deferred.Resolve(env.Undefined());
  waiters_.clear();
  if (started_) notifier_.Release();
}

void Drain::Stop() {
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    queue_.clear();
  }
  room_.notify_all();
  Wake();
  if (thread_.joinable()) thread_.join();
}

void Drain::Wake() {
  if (!wake_fd_.valid()) return;
  const uint64_t one = 1;
  // Can only fail when the count is at its maximum: then it is readable anyway.
  [[maybe_unused]] const ssize_t written = write(wake_fd_.get(), &one, sizeof(one));
}

void Drain::Run() {
  for (;;) {
    const size_t passed = Pass();
    HandOverRest();
    bool flushing;
    {
      std::unique_lock lock(mutex_);
      if (stopping_) return;
      flushing = flush_position_ > handed_position_;
    }
    // A program that was preempted over a record it has reserved: the ring is readable, but there is nothing
    // to read. Polling it would spin, on the processor that the program waits for.
    const bool reserved = reader_.read_position() < reader_.write_position();
    Rest(passed > 0 || current_.size > 0 || flushing || reserved);
  }
}

// Reads what is there now, up to one ring's worth, so that a flood cannot keep
// the rest of the loop from its turn. Returns how many records it passed.
size_t Drain::Pass() {
  const uint64_t end = reader_.write_position();
  const uint64_t start = reader_.read_position();
  uint64_t published = start;
  size_t passed = 0;
  while (reader_.read_position() < end) {
    const RingReader::Step step = reader_.Next();
    if (step == RingReader::Step::kEmpty) break;
    passed++;
    if (step == RingReader::Step::kSkipped) continue;
    const size_t bytes = reader_.record_bytes();
    if (current_.data == nullptr || current_.size + bytes > kBatchBytes) {
      std::unique_lock lock(mutex_);
      if (current_.size > 0) HandOver(lock);
      if (stopping_) return passed;
      current_ = NewBatch();
    }
    reader_.Copy(current_.data.get() + current_.size);
    current_.size += bytes;
    current_.records++;
    if (reader_.read_position() - published >= kPublishBytes) {
      reader_.Publish();
      published = reader_.read_position();
    }
  }
  reader_.Publish();
  passed_bytes_ = reader_.read_position() - start;
  return passed;
}

Drain::Batch Drain::NewBatch() {
  if (!spare_.empty()) {
    Batch batch = std::move(spare_.back());
    spare_.pop_back();
    batch.size = 0;
    batch.records = 0;
    return batch;
  }
  return {std::make_unique_for_overwrite<uint8_t[]>(kBatchBytes)};
}

// Queues the current batch, after waiting for room: meanwhile the ring fills
// and the programs count what it refuses.
void Drain::HandOver(std::unique_lock<std::mutex>& lock) {
  const auto has_room = [this] {
    return stopping_ || queued_bytes_ == 0 || queued_bytes_ + current_.size <= queued_bytes_limit_;
  };
  if (!has_room()) {
    counters_.stalls++;
    Notify(lock);
    room_.wait(lock, has_room);
  }
  if (stopping_) return;
  queued_bytes_ += current_.size;
  counters_.batches++;
  counters_.records += current_.records;
  counters_.bytes += current_.size;
  queue_.push_back(std::move(current_));
  current_ = {};
  Notify(lock);
}

// A batch that is not full yet goes at once, unless JavaScript has others to
// take first: then it fills on.
void Drain::HandOverRest() {
  std::unique_lock lock(mutex_);
  if (stopping_) return;
  const bool flushing = flush_position_ > handed_position_;
  if (current_.size > 0 && (queue_.empty() || flushing)) HandOver(lock);
  if (current_.size > 0) return;
  handed_position_ = reader_.read_position();
  if (flushing) Notify(lock);
}

void Drain::Notify(std::unique_lock<std::mutex>&) {
  if (notified_ || stopping_) return;
  // Anything but napi_ok: the environment is ending, and its finalizer stops us.
  notified_ = notifier_.NonBlockingCall() == napi_ok;
}

void Drain::Rest(bool busy) {
  pollfd fds[] = {{wake_fd_.get(), POLLIN, 0}, {ring_fd_.get(), POLLIN, 0}};
  const bool quiet = ring_bytes_ >= kQuietRingBytes && passed_bytes_ < ring_bytes_ / kQuietShare;
  if (poll(fds, busy ? 1 : 2, busy ? (quiet ? kQuietRestMs : kRestMs) : -1) > 0 && (fds[0].revents & POLLIN) != 0) {
    uint64_t count;
    [[maybe_unused]] const ssize_t taken = read(wake_fd_.get(), &count, sizeof(count));
  }
}

void Drain::CallJs(Napi::Env env, Napi::Function on_batch, Drain* drain, void*) {
  // Without an environment the queue is being emptied at its end.
  if (static_cast<napi_env>(env) == nullptr) return;
  const std::shared_ptr<Drain> self = drain->shared_from_this();
  self->Deliver(env, on_batch);
}

// Stays notified until the queue is empty: a notification that comes while one
// is served would be served in the same turn of the event loop, a thousand times
// over, and the loop's other work would starve.
void Drain::Deliver(Napi::Env env, Napi::Function on_batch) {
  for (size_t index = 0; index < kBatchesPerTurn && !closed_; index++) {
    if (!DeliverOne(env, on_batch)) break;
  }
  if (closed_) return;
  bool more;
  {
    std::unique_lock lock(mutex_);
    more = !queue_.empty();
    if (!more) notified_ = false;
  }
  SettleWaiters(env);
  if (more) DeliverNextTurn(env, on_batch);
}

void Drain::DeliverNextTurn(Napi::Env env, Napi::Function on_batch) {
  auto self = shared_from_this();
  auto resume = Napi::Function::New(env, [self](const Napi::CallbackInfo& info) {
    if (!self->closed_) self->Deliver(info.Env(), info[0].As<Napi::Function>());
  });
  const Napi::Value schedule = env.Global().Get("setImmediate");
  if (schedule.IsFunction()) schedule.As<Napi::Function>().Call({resume, on_batch});
}

bool Drain::DeliverOne(Napi::Env env, Napi::Function on_batch) {
  Napi::HandleScope scope(env);
  Batch batch;
  {
    std::unique_lock lock(mutex_);
    if (queue_.empty()) return false;
    batch = std::move(queue_.front());
    queue_.pop_front();
  }
  // A copy of exactly the batch: events keep slices of it for as long as they
  // live, and copying costs a fiftieth of what decoding it does.
  const Napi::Value buffer = Napi::Buffer<uint8_t>::Copy(env, batch.data.get(), batch.size);
  if (!buffer.IsEmpty()) on_batch.Call({buffer});
  {
    std::unique_lock lock(mutex_);
    queued_bytes_ -= batch.size;
    if (spare_.size() < kSpareBatches) spare_.push_back(std::move(batch));
  }
  room_.notify_one();
  ReportException(env);
  return true;
}

void Drain::SettleWaiters(Napi::Env env) {
  uint64_t handed;
  {
    std::unique_lock lock(mutex_);
    if (!queue_.empty()) return;
    handed = handed_position_;
  }
  std::erase_if(waiters_, [&](const Waiter& waiter) {
    if (waiter.target > handed) return false;
    waiter.deferred.Resolve(env.Undefined());
    return true;
  });
}

}  // namespace agentsight
