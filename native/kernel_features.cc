// SPDX-License-Identifier: MIT
#include "native/kernel_features.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <cerrno>
#include <iterator>

#include "native/uprobe_multi.h"

namespace agentsight {
namespace {

// Reads the twelfth argument, which no tracepoint of ours has: the kernel looks the name up first (ENOENT) and then
// refuses to attach (EINVAL).
int LoadProgramThatFitsNone() {
  constexpr int16_t kTwelfthArgument = 11 * sizeof(uint64_t);
  const bpf_insn instructions[] = {
      {.code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_0, .src_reg = BPF_REG_1, .off = kTwelfthArgument, .imm = 0},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  };
  return bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "agentsight_ask", "GPL", instructions, std::size(instructions), nullptr);
}

}  // namespace

KernelFeatures ProbeKernel() {
  const Tracepoints tracepoints;
  return {
      .socket_tracepoints = tracepoints.Has("sock_send_length") && tracepoints.Has("sock_recv_length"),
      .uprobe_multi = HasUprobeMulti(),
  };
}

Tracepoints::Tracepoints() : program_(LoadProgramThatFitsNone()) {}

bool Tracepoints::Has(const char* name) const {
  const Fd link(bpf_raw_tracepoint_open(name, program_.get()));
  return link.valid() || errno == EINVAL;
}

}  // namespace agentsight
