// SPDX-License-Identifier: MIT
// What one JavaScript environment (the main thread, a worker) owns of the
// addon. JavaScript thread only; destroyed with the environment.
#pragma once

#include <napi.h>

#include "native/link_reaper.h"

namespace agentsight {

struct Environment {
  Napi::FunctionReference error_class;
  Napi::FunctionReference capture_class;
  LinkReaper reaper;
};

}  // namespace agentsight
