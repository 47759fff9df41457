// SPDX-License-Identifier: MIT
// What newer kernels have, and where others stand in. Asks the kernel, never its version.
#pragma once

#include "native/fd.h"

namespace agentsight {

struct KernelFeatures {
  bool socket_tracepoints = false;  // Linux 6.3; else the ends of system calls
  bool uprobe_multi = false;        // Linux 6.6; else perf events
};

KernelFeatures ProbeKernel();

// Asks which raw tracepoints there are, without attaching to any, in microseconds: to look for their types would mean
// to read those of the whole kernel, a tenth of a second each time.
class Tracepoints {
 public:
  Tracepoints();
  // False too where the kernel did not let us ask.
  bool Has(const char* name) const;

 private:
  const Fd program_;
};

}  // namespace agentsight
