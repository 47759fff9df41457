// SPDX-License-Identifier: MIT
// The BPF side of one capture: objects, shared maps, links. JavaScript thread
// only. Destroying it detaches everything that was not taken out before.
#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bpf/shared.h"
#include "native/error.h"
#include "native/fd.h"
#include "native/libbpf_log.h"
#include "native/link.h"
#include "native/uprobe_multi.h"

namespace agentsight {

struct CaptureOptions {
  bool process = false;
  bool tls = false;
  bool stdio = false;
  uint64_t ring_bytes = 0;
  uint32_t payload_bytes_per_call = 0;
  bool all_fds = false;
  uint64_t queued_bytes = 0;
};

struct UprobeTarget {
  std::string program;
  std::string path;
  uint64_t offset = 0;
  int pid = -1;  // -1: every process
};

class Programs {
 public:
  explicit Programs(const CaptureOptions& options) : options_(options) {}

  // Shared maps, then each object: open, configure, load; then attach.
  Failure Load();
  bool loaded() const { return loaded_; }
  int ring_fd() const { return ring_.get(); }

  Failure Trace(uint32_t pid, uint32_t root);
  bool IsTraced(uint32_t pid) const;
  Failure TraceComm(const std::string& comm);

  Failure AttachUprobe(const UprobeTarget& target, uint32_t* id);
  // Empty when there is none of this id.
  Link TakeUprobe(uint32_t id);
  std::vector<Link> TakeUprobes();

  // One value per counter of bpf/event.h, summed over cpus.
  Failure ReadCounters(std::vector<uint64_t>* counters) const;

 private:
  struct ObjectDeleter {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
  };
  using Object = std::unique_ptr<bpf_object, ObjectDeleter>;

  Failure CreateMaps();
  Failure LoadObject(const char* name, const void* bytes, size_t size, Object* object);
  Failure Configure(bpf_object* object) const;
  Failure AttachAll(bpf_object* object);
  Link Attach(const bpf_program* program, const UprobeTarget& target) const;

  const CaptureOptions options_;
  const bool has_uprobe_multi_ = HasUprobeMulti();
  bool loaded_ = false;
  Fd ring_;
  Fd traced_;
  Fd cpu_states_;
  Object process_;
  Object stdio_;
  Object tls_;
  std::vector<Link> links_;
  std::map<uint32_t, Link> uprobes_;
  uint32_t next_uprobe_ = 1;
};

}  // namespace agentsight
