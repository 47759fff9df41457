// SPDX-License-Identifier: MIT
// The Capture of src/addon.ts. JavaScript thread only.
#pragma once

#include <napi.h>

#include <memory>

#include "native/drain.h"
#include "native/programs.h"
#include "native/sideband.h"

namespace agentsight {

class Capture : public Napi::ObjectWrap<Capture> {
 public:
  static Napi::Function Define(Napi::Env env);

  explicit Capture(const Napi::CallbackInfo& info);
  ~Capture() override;

 private:
  Napi::Value Load(const Napi::CallbackInfo& info);
  Napi::Value Trace(const Napi::CallbackInfo& info);
  Napi::Value IsTraced(const Napi::CallbackInfo& info);
  Napi::Value AttachUprobe(const Napi::CallbackInfo& info);
  Napi::Value DetachUprobe(const Napi::CallbackInfo& info);
  Napi::Value Sweep(const Napi::CallbackInfo& info);
  Napi::Value Start(const Napi::CallbackInfo& info);
  Napi::Value WatchMappings(const Napi::CallbackInfo& info);
  Napi::Value DrainAll(const Napi::CallbackInfo& info);
  Napi::Value KernelCounters(const Napi::CallbackInfo& info);
  Napi::Value Counters(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  // Throws where the capture is not in the state that a call needs.
  bool IsReady(Napi::Env env) const;
  Napi::Value Finish(Napi::Env env, const Failure& failure) const;
  void Release(Napi::Env env);

  CaptureOptions options_;
  std::unique_ptr<Programs> programs_;
  std::shared_ptr<Drain> drain_;
  std::shared_ptr<Sideband> sideband_;
  std::vector<cpu_state> last_cpu_states_;
  DrainCounters last_counters_;
  SidebandCounters last_sideband_;
  bool closed_ = false;
};

}  // namespace agentsight
