// SPDX-License-Identifier: MIT
// The face towards src/addon.ts: bind(AgentsightError) gives its Addon. All
// state hangs off the environment.
#include <napi.h>
#include <time.h>

#include "native/capture.h"
#include "native/elf_file.h"
#include "native/environment.h"
#include "native/error.h"
#include "native/kernel_features.h"
#include "native/programs.h"

namespace agentsight {
namespace {

Napi::Value OpenCapture(const Napi::CallbackInfo& info) {
  return info.Env().GetInstanceData<Environment>()->capture_class.New({info[0]});
}

Napi::Value TextOrNull(Napi::Env env, const std::optional<std::string>& text) {
  return text ? Napi::String::New(env, *text) : env.Null();
}

Napi::Object ElfObject(Napi::Env env, const ElfInfo& info) {
  Napi::Array needed = Napi::Array::New(env, info.needed.size());
  for (uint32_t index = 0; index < info.needed.size(); index++) needed.Set(index, info.needed[index]);
  Napi::Array symbols = Napi::Array::New(env, info.symbols.size());
  for (uint32_t index = 0; index < info.symbols.size(); index++) {
    Napi::Object symbol = Napi::Object::New(env);
    symbol.Set("name", info.symbols[index].name);
    symbol.Set("offset", static_cast<double>(info.symbols[index].offset));
    symbol.Set("size", static_cast<double>(info.symbols[index].size));
    symbols.Set(index, symbol);
  }
  Napi::Object result = Napi::Object::New(env);
  if (info.build_id.empty()) result.Set("buildId", env.Null());
  else result.Set("buildId", info.build_id);
  result.Set("needed", needed);
  result.Set("rpath", TextOrNull(env, info.rpath));
  result.Set("runpath", TextOrNull(env, info.runpath));
  result.Set("symbols", symbols);
  return result;
}

Napi::Value ReadElfFile(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsString() || !info[1].IsArray()) {
    Napi::TypeError::New(env, "readElf wants a path and an array of names").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  Names names;
  const auto array = info[1].As<Napi::Array>();
  for (uint32_t index = 0; index < array.Length(); index++) {
    const Napi::Value name = array.Get(index);
    if (name.IsString()) names.insert(name.As<Napi::String>().Utf8Value());
  }
  ElfInfo elf;
  if (const Failure failure = ReadElf(info[0].As<Napi::String>().Utf8Value(), names, &elf)) {
    Throw(env, *failure);
    return env.Undefined();
  }
  return ElfObject(env, elf);
}

int64_t ReadClock(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec;
}

Napi::Value BootClockOffset(const Napi::CallbackInfo& info) {
  // The wall clock between two reads of the other one: the closest pair wins.
  int64_t offset = 0, closest = INT64_MAX;
  for (int attempt = 0; attempt < 16; attempt++) {
    const int64_t before = ReadClock(CLOCK_BOOTTIME);
    const int64_t wall = ReadClock(CLOCK_REALTIME);
    const int64_t after = ReadClock(CLOCK_BOOTTIME);
    if (after - before >= closest) continue;
    closest = after - before;
    offset = wall - (before + closest / 2);
  }
  return Napi::BigInt::New(info.Env(), offset);
}

Napi::Value ReadKernelFeatures(const Napi::CallbackInfo& info) {
  const KernelFeatures features = ProbeKernel();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("socketTracepoints", features.socket_tracepoints);
  result.Set("uprobeMulti", features.uprobe_multi);
  return result;
}

Napi::Value Bind(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsFunction()) {
    Napi::TypeError::New(env, "bind wants the error class").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  env.GetInstanceData<Environment>()->error_class = Napi::Persistent(info[0].As<Napi::Function>());
  Napi::Object addon = Napi::Object::New(env);
  addon.Set("openCapture", Napi::Function::New<OpenCapture>(env, "openCapture"));
  addon.Set("readElf", Napi::Function::New<ReadElfFile>(env, "readElf"));
  addon.Set("kernelFeatures", Napi::Function::New<ReadKernelFeatures>(env, "kernelFeatures"));
  addon.Set("bootClockOffsetNs", Napi::Function::New<BootClockOffset>(env, "bootClockOffsetNs"));
  return addon;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  auto* environment = new Environment;
  env.SetInstanceData(environment);
  environment->capture_class = Napi::Persistent(Capture::Define(env));
  exports.Set("bind", Napi::Function::New<Bind>(env, "bind"));
  return exports;
}

NODE_API_MODULE(agentsight, Init)

}  // namespace
}  // namespace agentsight
