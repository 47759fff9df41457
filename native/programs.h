// SPDX-License-Identifier: MIT
// The BPF side of one capture: programs, maps, links. JavaScript thread only.
// Destroying it detaches everything that was not taken out before.
#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/shared.h"
#include "native/error.h"
#include "native/fd.h"
#include "native/libbpf_log.h"
#include "native/link.h"
#include "native/options.h"
#include "native/selection.h"
#include "native/uprobe_multi.h"

namespace agentsight {

struct UprobeTarget {
  std::string program;
  std::string path;
  uint64_t offset = 0;
  int pid = -1;  // -1: every process
  uint64_t cookie = 0;
};

// Whether any program is of this family.
bool IsFamily(std::string_view family);

class Programs {
 public:
  explicit Programs(const CaptureOptions& options) : options_(options) {}

  // Open, configure, load; then attach.
  Failure Load();
  bool loaded() const { return loaded_; }
  int ring_fd() const { return MapFd("ring"); }
  int traced_fd() const { return MapFd("traced"); }

  Failure Trace(uint32_t pid, uint32_t root);
  bool IsTraced(uint32_t pid) const;

  // Runs the programs that report what the maps hold: bytes of files so far, sockets that ended unnoticed.
  Failure Sweep();

  Failure AttachUprobe(const UprobeTarget& target, uint32_t* id);
  // Empty when there is none of this id.
  Link TakeUprobe(uint32_t id);
  std::vector<Link> TakeUprobes();

  // One entry per cpu that the kernel may have.
  Failure ReadCounters(std::vector<cpu_state>* states) const;

 private:
  struct ObjectDeleter {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
  };
  using Object = std::unique_ptr<bpf_object, ObjectDeleter>;

  // A program or map of a family that this capture has.
  bool IsWanted(const char* member) const;
  Failure ConfigureMaps();
  Failure ConfigurePrograms();
  Failure AttachSource(std::string_view source);
  bpf_program* FindProgram(const char* name) const;
  int MapFd(const char* name) const;
  Link Attach(const bpf_program* program, const UprobeTarget& target) const;

  const CaptureOptions options_;
  const bool has_uprobe_multi_ = HasUprobeMulti();
  bool loaded_ = false;
  Object object_;
  std::vector<Link> links_;
  std::map<uint32_t, Link> uprobes_;
  uint32_t next_uprobe_ = 1;
};

}  // namespace agentsight
