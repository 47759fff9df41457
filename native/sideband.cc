// SPDX-License-Identifier: MIT
#include "native/sideband.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <utility>

#include "bpf/shared.h"
#include "native/thread.h"

namespace agentsight {
namespace {

// Rest after a pass. Every executable mapping of every process on the machine
// wakes the thread: with a rest, a build that starts a thousand programs a
// second costs a thousand wake-ups, not eight thousand. There is none after a
// file that is new to us: its process will soon map the library that matters.
constexpr int kRestMs = 1;
// Files remembered for that; at it all are new again.
constexpr size_t kKnownMax = 16384;
// Files that wait for JavaScript: what a thousand programs map at their start.
constexpr size_t kQueueMax = 16384;

// From "0-3,8": those that are online now. One that is switched on later is not watched.
std::vector<int> OnlineCpus() {
  std::ifstream file("/sys/devices/system/cpu/online");
  std::vector<int> cpus;
  int first = 0, last = 0;
  char sign = 0;
  while (file >> first) {
    last = first;
    if (file.get(sign) && sign == '-') file >> last && file.get(sign);
    for (int cpu = first; cpu <= last; cpu++) cpus.push_back(cpu);
  }
  return cpus;
}

// As /proc/PID/maps prints device and inode.
std::string FileText(const MapRecord& record) {
  char text[64];
  snprintf(text, sizeof(text), "%02x:%02x:%" PRIu64, record.major, record.minor, record.inode);
  return text;
}

// As /proc/PID/map_files names it.
std::string RangeText(const MapRecord& record) {
  char text[64];
  snprintf(text, sizeof(text), "%" PRIx64 "-%" PRIx64, record.start, record.start + record.length);
  return text;
}

}  // namespace

Sideband::~Sideband() { Stop(); }

Failure Sideband::Open(int traced_fd) {
  traced_fd_ = Fd(fcntl(traced_fd, F_DUPFD_CLOEXEC, 0));
  stop_fd_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!traced_fd_.valid() || !stop_fd_.valid()) {
    return Error{"BPF_LOAD_FAILED", "could not watch memory maps: " + ErrnoText(errno)};
  }
  for (const int cpu : OnlineCpus()) {
    PerfRing ring;
    if (Failure failure = ring.Open(cpu)) return failure;
    rings_.push_back(std::move(ring));
  }
  if (!rings_.empty()) return std::nullopt;
  return Error{"KERNEL_UNSUPPORTED", "could not watch memory maps: no cpu is named in /sys/devices/system/cpu/online"};
}

void Sideband::Start(Napi::Env env, Napi::Function on_mappings) {
  auto self = new std::shared_ptr<Sideband>(shared_from_this());
  // As with the drain: the finalizer also runs when the environment ends.
  notifier_ = Notifier::New(
      env, on_mappings, "agentsight sideband", 0, 1, this,
      [](Napi::Env, std::shared_ptr<Sideband>* owner, Sideband*) {
        (*owner)->Stop();
        delete owner;
      },
      self);
  started_ = true;
  thread_ = StartThread("agentsight-maps", [this] { Run(); });
}

SidebandCounters Sideband::counters() {
  std::unique_lock lock(mutex_);
  return counters_;
}

void Sideband::Close() {
  if (closed_) return;
  closed_ = true;
  Stop();
  if (started_) notifier_.Release();
}

void Sideband::Stop() {
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    queue_.clear();
  }
  const uint64_t one = 1;
  // Can only fail when the count is at its maximum: then it is readable anyway.
  if (stop_fd_.valid()) [[maybe_unused]] const ssize_t written = write(stop_fd_.get(), &one, sizeof(one));
  if (thread_.joinable()) thread_.join();
}

void Sideband::Run() {
  while (Wait(true, -1)) {
    const bool is_new = ReadRings();
    if (!is_new && !Wait(false, kRestMs)) return;
  }
}

bool Sideband::Wait(bool for_records, int timeout_ms) {
  std::vector<pollfd> fds = {{stop_fd_.get(), POLLIN, 0}};
  if (for_records) {
    for (const PerfRing& ring : rings_) fds.push_back({ring.fd(), POLLIN, 0});
  }
  poll(fds.data(), fds.size(), timeout_ms);
  return (fds[0].revents & POLLIN) == 0;
}

// Whether a file was among them that no traced process had mapped before.
bool Sideband::ReadRings() {
  const size_t known_before = known_.size();
  uint64_t lost = 0;
  for (PerfRing& ring : rings_) {
    lost += ring.Read([this](const MapRecord& record) { Add(record); });
  }
  const bool is_new = known_.size() > known_before;
  if (found_.empty() && lost == 0) return false;
  std::unique_lock lock(mutex_);
  const size_t room = std::min(found_.size(), kQueueMax - queue_.size());
  queue_.insert(queue_.end(), std::make_move_iterator(found_.begin()), std::make_move_iterator(found_.begin() + room));
  counters_.mappings += room;
  counters_.lost += lost + found_.size() - room;
  found_.clear();
  // Anything but napi_ok: the environment is ending, and its finalizer stops us.
  if (!notified_ && !stopping_) notified_ = notifier_.NonBlockingCall() == napi_ok;
  return is_new;
}

void Sideband::Add(const MapRecord& record) {
  traced entry;
  if (bpf_map_lookup_elem(traced_fd_.get(), &record.pid, &entry) != 0) return;
  std::string file = FileText(record);
  if (known_.size() >= kKnownMax) known_.clear();
  known_.insert(file);
  found_.push_back({record.pid, std::move(file), std::string(record.path), RangeText(record)});
}

void Sideband::CallJs(Napi::Env env, Napi::Function on_mappings, Sideband* sideband, void*) {
  // Without an environment the queue is being emptied at its end.
  if (static_cast<napi_env>(env) == nullptr) return;
  const std::shared_ptr<Sideband> self = sideband->shared_from_this();
  self->Deliver(env, on_mappings);
}

void Sideband::Deliver(Napi::Env env, Napi::Function on_mappings) {
  std::vector<Mapping> mappings;
  uint64_t lost;
  {
    std::unique_lock lock(mutex_);
    mappings.swap(queue_);
    notified_ = false;
    lost = counters_.lost;
  }
  if (closed_) return;
  Napi::Array array = Napi::Array::New(env, mappings.size());
  for (uint32_t index = 0; index < mappings.size(); index++) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("pid", mappings[index].pid);
    object.Set("file", mappings[index].file);
    object.Set("path", mappings[index].path);
    object.Set("range", mappings[index].range);
    array.Set(index, object);
  }
  on_mappings.Call({array, Napi::Number::New(env, static_cast<double>(lost))});
  ReportException(env);
}

}  // namespace agentsight
