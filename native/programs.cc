// SPDX-License-Identifier: MIT
#include "native/programs.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>

#include "native/kernel_features.h"
#include "native/objects.h"
#include "native/thread.h"

namespace agentsight {
namespace {

// Ring buffer dynptrs, which our records of exact size need.
constexpr int kMinimumMajor = 5;
constexpr int kMinimumMinor = 19;

constexpr std::string_view kProcessFamily = "process";

struct Source {
  std::string_view name;
  std::string_view family;
  std::string_view other_family = "";

  bool IsOf(std::string_view wanted) const { return wanted == family || (!wanted.empty() && wanted == other_family); }
};

// In the order of their attaching: at the end of a process net and file tell what they know of it before process takes
// it out of the traced set. A family may have several sources, a source two families; that of processes is always loaded.
constexpr Source kSources[] = {
    {"reset", "net", "tls"}, {"net", "net"}, {"file", "file"}, {"process", "process"}, {"stdio", "stdio"}, {"tls", "tls"},
    {"endpoint", "tls"},     {"aead", "tls"}, {"go", "tls"},   {"signal", "signal"},   {"readline", "readline"},
};

// A program or a map, and a source that has it.
struct Member {
  std::string_view name;
  std::string_view source;
};

constexpr Member kMembers[] = {
#include "bpf/prebuilt/members.h"
};

// Programs that stand in for each other: one is for kernels with a tracepoint, one for those without.
struct OptionalProgram {
  const char* name;
  const char* tracepoint;
  bool is_for_kernels_with_it;
};

const OptionalProgram kOptionalPrograms[] = {
    {"on_sock_send", "sock_send_length", true},
    {"on_sock_receive", "sock_recv_length", true},
    {"on_socket_syscall", "sock_send_length", false},
    {"on_io_uring", "io_uring_create", true},
};

bool IsMember(std::string_view name, std::string_view source) {
  return std::any_of(std::begin(kMembers), std::end(kMembers),
                     [&](const Member& member) { return member.name == name && member.source == source; });
}

bool IsUprobe(const bpf_program* program) {
  const std::string_view section = bpf_program__section_name(program);
  return section == "uprobe" || section == "uretprobe";
}

// Run by us, when we want.
bool IsOnDemand(const bpf_program* program) {
  return std::string_view(bpf_program__section_name(program)) == "raw_tp";
}

constexpr uint64_t Bit(unsigned number) { return uint64_t{1} << number; }
constexpr uint64_t kCapSysAdmin = Bit(21);
constexpr uint64_t kCapPerfmon = Bit(38);
constexpr uint64_t kCapBpf = Bit(39);

// Whether BPF is ours to use. Unreadable /proc: says yes, the real error then speaks.
bool HasCapabilities() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.rfind("CapEff:", 0) != 0) continue;
    const uint64_t effective = std::stoull(line.substr(7), nullptr, 16);
    return (effective & kCapSysAdmin) != 0 || (effective & (kCapBpf | kCapPerfmon)) == (kCapBpf | kCapPerfmon);
  }
  return true;
}

bool KernelIsTooOld(std::string* release) {
  utsname name;
  int major = 0, minor = 0;
  if (uname(&name) != 0 || sscanf(name.release, "%d.%d", &major, &minor) != 2) return false;
  *release = name.release;
  return major < kMinimumMajor || (major == kMinimumMajor && minor < kMinimumMinor);
}

// Names the cause that the user can act on, where there is one.
Error Explain(const char* fallback_code, const std::string& what, int number, const LibbpfLog* log) {
  const std::string detail = log == nullptr ? "" : log->text();
  const std::string message = "could not " + what + ": ";
  if ((number == EPERM || number == EACCES) && !HasCapabilities()) {
    return {"PRIVILEGE_MISSING", message + ErrnoText(number),
            "run as root, or grant CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE", detail};
  }
  std::string release;
  if (KernelIsTooOld(&release)) {
    return {"KERNEL_UNSUPPORTED", message + "Linux " + release + " is older than 5.19",
            "update the kernel to 5.19 or later", detail};
  }
  return {fallback_code, message + ErrnoText(number), "", detail};
}

Failure CheckBtf() {
  constexpr char kPath[] = "/sys/kernel/btf/vmlinux";
  const auto missing = [&](const std::string& cause) {
    return Error{"BTF_MISSING", std::string("could not read ") + kPath + ": " + cause,
                 "use a kernel that was built with CONFIG_DEBUG_INFO_BTF=y"};
  };
  const Fd file(open(kPath, O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return missing(ErrnoText(errno));
  // A container that hides it puts an empty file there: readable says nothing yet.
  uint16_t magic = 0;
  constexpr uint16_t kBtfMagic = 0xeb9f;
  const ssize_t got = read(file.get(), &magic, sizeof(magic));
  if (got < 0) return missing(ErrnoText(errno));
  if (got != sizeof(magic)) return missing("it is empty");
  if (magic != kBtfMagic) return missing("it holds no BTF");
  return std::nullopt;
}

uint32_t NewImage() {
  timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint32_t>((static_cast<uint64_t>(now.tv_sec) * 1000000000 + now.tv_nsec) >> 10);
}

// A zombie has passed its end: nothing would ever take it out of the set again.
// One with further threads has only lost its leader.
bool IsAlive(uint32_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(stat, text, '\0')) return false;
  // The name may hold anything, brackets too: the state follows the last one.
  const size_t end = text.rfind(')');
  if (end == std::string::npos || end + 2 >= text.size()) return false;
  char state = 'X';
  long threads = 0;
  // From proc(5): state, 16 fields that we pass over, num_threads.
  std::istringstream fields(text.substr(end + 1));
  fields >> state;
  std::string skipped;
  for (int field = 0; field < 16; field++) fields >> skipped;
  fields >> threads;
  return state != 'X' && state != 'x' && (state != 'Z' || threads > 1);
}

// The kernel gives up verifying a program when a signal comes, and libbpf tries five times: of a process that a
// profiler interrupts each millisecond, nothing long enough would ever be loaded.
int LoadObject(bpf_object* object) {
  const SignalsBlocked blocked;
  return bpf_object__load(object);
}

}  // namespace

bool IsFamily(std::string_view family) {
  return std::any_of(std::begin(kSources), std::end(kSources), [&](const Source& source) { return source.IsOf(family); });
}

Failure Programs::Load() {
  if (Failure failure = CheckBtf()) return failure;
  LibbpfLog log;
  LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "agentsight");
  object_.reset(bpf_object__open_mem(bpf_object_bytes, bpf_object_size, &options));
  if (object_ == nullptr) return Explain("BPF_LOAD_FAILED", "open the BPF programs", errno, &log);
  if (Failure failure = ConfigureMaps()) return failure;
  if (Failure failure = ConfigurePrograms()) return failure;
  if (const int result = LoadObject(object_.get()); result < 0) {
    return Explain("BPF_LOAD_FAILED", "load the BPF programs", -result, &log);
  }
  // Every map is in place, and filled, before the first program runs.
  const int filled = FillSelectors(options_.selection, [this](const char* map) { return MapFd(map); });
  if (filled < 0) return Explain("BPF_LOAD_FAILED", "tell the programs what to select", -filled, nullptr);
  for (const Source& source : kSources) {
    if (Failure failure = AttachSource(source.name)) return failure;
  }
  loaded_ = true;
  return std::nullopt;
}

bool Programs::IsWanted(const char* member) const {
  return std::any_of(std::begin(kSources), std::end(kSources), [&](const Source& source) {
    const bool is_asked_for = source.IsOf(kProcessFamily) || options_.families.contains(source.family) || options_.families.contains(source.other_family);
    return is_asked_for && IsMember(member, source.name);
  });
}

Failure Programs::ConfigureMaps() {
  const config values = MakeConfig(options_);
  bpf_map* map;
  bpf_object__for_each_map(map, object_.get()) {
    const std::string_view name = bpf_map__name(map);
    int result = 0;
    if (name == ".rodata.config") {
      // Each source had one, and the linker left their room: the first is the one that all of them use.
      size_t size = 0;
      void* initial = const_cast<void*>(bpf_map__initial_value(map, &size));
      if (initial == nullptr || size < sizeof(values)) return Explain("BPF_LOAD_FAILED", "configure the BPF programs", EINVAL, nullptr);
      memcpy(initial, &values, sizeof(values));
    } else if (name == "ring") {
      result = bpf_map__set_max_entries(map, static_cast<uint32_t>(options_.ring_bytes));
    } else if (!bpf_map__is_internal(map) && !IsWanted(bpf_map__name(map))) {
      result = bpf_map__set_autocreate(map, false);
    }
    if (result < 0) return Explain("BPF_LOAD_FAILED", "set up a BPF map", -result, nullptr);
  }
  return std::nullopt;
}

Failure Programs::ConfigurePrograms() {
  const Tracepoints tracepoints;
  bpf_program* program;
  bpf_object__for_each_program(program, object_.get()) {
    const char* name = bpf_program__name(program);
    bpf_program__set_autoload(program, IsWanted(name));
    if (!IsUprobe(program) || !has_uprobe_multi_) continue;
    if (const int result = PrepareUprobeMulti(program); result < 0) {
      return Explain("BPF_LOAD_FAILED", "set up a uprobe program", -result, nullptr);
    }
  }
  for (const OptionalProgram& optional : kOptionalPrograms) {
    if (!IsWanted(optional.name)) continue;
    const bool ignored = options_.ignore_socket_tracepoints && std::string_view(optional.tracepoint).starts_with("sock_");
    const bool has = !ignored && tracepoints.Has(optional.tracepoint);
    bpf_program__set_autoload(FindProgram(optional.name), has == optional.is_for_kernels_with_it);
  }
  return std::nullopt;
}

Failure Programs::AttachSource(std::string_view source) {
  LibbpfLog log;
  bpf_program* program;
  bpf_object__for_each_program(program, object_.get()) {
    if (!bpf_program__autoload(program) || IsUprobe(program) || IsOnDemand(program)) continue;
    if (!IsMember(bpf_program__name(program), source)) continue;
    Link link(bpf_program__attach(program));
    if (!link) {
      return Explain("BPF_ATTACH_FAILED", std::string("attach ") + bpf_program__name(program), errno, &log);
    }
    links_.push_back(std::move(link));
  }
  return std::nullopt;
}

Failure Programs::Trace(uint32_t pid, uint32_t root) {
  const traced entry = {.root = root, .image = NewImage(), .io_uring = 0};
  const std::string what = "trace process " + std::to_string(pid);
  // One that is there already keeps its root: it was inherited from a parent.
  const int result = bpf_map_update_elem(traced_fd(), &pid, &entry, BPF_NOEXIST);
  if (result == -E2BIG) {
    return Error{"BPF_ATTACH_FAILED",
                 "could not " + what + ": " + std::to_string(MAX_TRACED) + " processes are traced already"};
  }
  if (result < 0 && result != -EEXIST) return Explain("BPF_ATTACH_FAILED", what, -result, nullptr);
  if (IsAlive(pid)) return std::nullopt;
  bpf_map_delete_elem(traced_fd(), &pid);
  return Error{"TARGET_NOT_FOUND", "could not " + what + ": it does not run"};
}

bool Programs::IsTraced(uint32_t pid) const {
  traced entry;
  return bpf_map_lookup_elem(traced_fd(), &pid, &entry) == 0;
}

Link Programs::Attach(const bpf_program* program, const UprobeTarget& target) const {
  const bool is_return = target.program.ends_with("_exit");
  if (has_uprobe_multi_) return AttachUprobeMulti(program, {target.path, target.offset, target.pid, is_return, target.cookie});
  LIBBPF_OPTS(bpf_uprobe_opts, options, .bpf_cookie = target.cookie, .retprobe = is_return);
  return Link(bpf_program__attach_uprobe_opts(program, target.pid, target.path.c_str(), target.offset, &options));
}

Failure Programs::AttachUprobe(const UprobeTarget& target, uint32_t* id) {
  const bpf_program* program = FindProgram(target.program.c_str());
  const std::string what = "attach " + target.program + " to " + target.path;
  if (program == nullptr || !bpf_program__autoload(program)) {
    return Error{"BPF_ATTACH_FAILED", "could not " + what + ": there is no such program"};
  }
  LibbpfLog log;
  Link link = Attach(program, target);
  if (!link) {
    const int number = errno;
    if (number == ENOENT || number == ESRCH) {
      return Error{"TARGET_NOT_FOUND", "could not " + what + ": " + ErrnoText(number), "", log.text()};
    }
    return Explain("BPF_ATTACH_FAILED", what, number, &log);
  }
  *id = next_uprobe_++;
  uprobes_.emplace(*id, std::move(link));
  return std::nullopt;
}

Failure Programs::Sweep() {
  bpf_program* program;
  bpf_object__for_each_program(program, object_.get()) {
    if (!bpf_program__autoload(program) || !IsOnDemand(program)) continue;
    LIBBPF_OPTS(bpf_test_run_opts, options);
    const int result = bpf_prog_test_run_opts(bpf_program__fd(program), &options);
    if (result < 0) return Explain("BPF_ATTACH_FAILED", std::string("run ") + bpf_program__name(program), -result, nullptr);
  }
  return std::nullopt;
}

bpf_program* Programs::FindProgram(const char* name) const {
  return bpf_object__find_program_by_name(object_.get(), name);
}

int Programs::MapFd(const char* name) const {
  const bpf_map* map = bpf_object__find_map_by_name(object_.get(), name);
  return map == nullptr ? -1 : bpf_map__fd(map);
}

Link Programs::TakeUprobe(uint32_t id) {
  const auto found = uprobes_.find(id);
  if (found == uprobes_.end()) return {};
  Link link = std::move(found->second);
  uprobes_.erase(found);
  return link;
}

std::vector<Link> Programs::TakeUprobes() {
  std::vector<Link> links;
  for (auto& [id, link] : uprobes_) links.push_back(std::move(link));
  uprobes_.clear();
  return links;
}

Failure Programs::ReadCounters(std::vector<cpu_state>* states) const {
  const int cpus = libbpf_num_possible_cpus();
  const uint32_t zero = 0;
  std::vector<cpu_state> read(cpus > 0 ? cpus : 1);
  const int result = cpus < 0 ? cpus : bpf_map_lookup_elem(MapFd("cpu_states"), &zero, read.data());
  if (result < 0) return Explain("BPF_LOAD_FAILED", "read the kernel's counters", -result, nullptr);
  *states = std::move(read);
  return std::nullopt;
}

}  // namespace agentsight
