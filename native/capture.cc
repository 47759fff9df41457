// SPDX-License-Identifier: MIT
#include "native/capture.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "native/environment.h"

namespace agentsight {
namespace {

// The largest ring that a u32 map size can name.
constexpr double kMaxRingBytes = 2147483648.0;
// What bpf/payload.bpf.h's loop is bounded for.
constexpr double kMaxPayloadBytes = 64.0 * 1024 * 1024;
constexpr double kMaxPid = 4194304.0;
constexpr double kMaxCommBytes = 15;

bool ThrowType(Napi::Env env, const std::string& message) {
  Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
  return false;
}

bool ReadInteger(Napi::Env env, const Napi::Value& value, const char* name, double minimum, double maximum,
                 uint64_t* result) {
  if (value.IsEmpty() || !value.IsNumber()) return ThrowType(env, std::string(name) + " is not a number");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= minimum && number <= maximum) || number != std::floor(number)) {
    return ThrowType(env, std::string(name) + " is out of range");
  }
  *result = static_cast<uint64_t>(number);
  return true;
}

bool ReadFamilies(Napi::Env env, const Napi::Value& value, CaptureOptions* options) {
  if (value.IsEmpty() || !value.IsArray()) return ThrowType(env, "families is not an array");
  const auto families = value.As<Napi::Array>();
  for (uint32_t index = 0; index < families.Length(); index++) {
    const Napi::Value item = families.Get(index);
    const std::string family = item.IsString() ? item.As<Napi::String>().Utf8Value() : "";
    if (!IsFamily(family)) return ThrowType(env, "families holds an unknown name");
    options->families.insert(family);
  }
  return true;
}

bool ReadFlag(Napi::Env env, const Napi::Object& object, const char* name, bool* result) {
  const Napi::Value value = object.Get(name);
  if (value.IsEmpty() || !value.IsBoolean()) return ThrowType(env, std::string(name) + " is not a boolean");
  *result = value.As<Napi::Boolean>();
  return true;
}

struct ListLimits {
  size_t items;
  // Of a text in bytes, of a number as such.
  double largest;
};

bool ReadTexts(Napi::Env env, const Napi::Object& object, const char* name, ListLimits limits,
               std::vector<std::string>* result) {
  const Napi::Value value = object.Get(name);
  if (value.IsEmpty() || !value.IsArray()) return ThrowType(env, std::string(name) + " is not an array");
  const auto items = value.As<Napi::Array>();
  if (items.Length() > limits.items) return ThrowType(env, std::string(name) + " has too many items");
  for (uint32_t index = 0; index < items.Length(); index++) {
    const Napi::Value item = items.Get(index);
    const std::string text = item.IsString() ? item.As<Napi::String>().Utf8Value() : "";
    if (text.empty() || static_cast<double>(text.size()) > limits.largest || text.find('\0') != std::string::npos) {
      return ThrowType(env, std::string(name) + " holds what is no text, or is too long");
    }
    result->push_back(text);
  }
  return true;
}

bool ReadNumbers(Napi::Env env, const Napi::Object& object, const char* name, ListLimits limits,
                 std::vector<uint32_t>* result) {
  const Napi::Value value = object.Get(name);
  if (value.IsEmpty() || !value.IsArray()) return ThrowType(env, std::string(name) + " is not an array");
  const auto items = value.As<Napi::Array>();
  if (items.Length() > limits.items) return ThrowType(env, std::string(name) + " has too many items");
  for (uint32_t index = 0; index < items.Length(); index++) {
    uint64_t number = 0;
    if (!ReadInteger(env, items.Get(index), name, 0, limits.largest, &number)) return false;
    result->push_back(static_cast<uint32_t>(number));
  }
  return true;
}

bool ReadSelection(Napi::Env env, const Napi::Value& value, Selection* selection) {
  if (value.IsEmpty() || !value.IsObject()) return ThrowType(env, "selection is not an object");
  const auto object = value.As<Napi::Object>();
  // One byte less than the field: a longer text would be taken for its beginning.
  constexpr double kMaxTextBytes = MAX_SELECTOR_BYTES - 1;
  if (!ReadTexts(env, object, "comms", {MAX_COMMS, kMaxCommBytes}, &selection->comms) ||
      !ReadTexts(env, object, "exes", {MAX_SELECTORS, kMaxTextBytes}, &selection->exes) ||
      !ReadTexts(env, object, "cgroups", {MAX_SELECTORS, kMaxTextBytes}, &selection->cgroups) ||
      !ReadTexts(env, object, "containers", {MAX_SELECTORS, kMaxTextBytes}, &selection->containers) ||
      !ReadNumbers(env, object, "uids", {MAX_SELECTORS, 4294967295.0}, &selection->uids) ||
      !ReadNumbers(env, object, "ports", {MAX_SELECTORS, 65535}, &selection->ports) ||
      !ReadFlag(env, object, "follow", &selection->follow)) {
    return false;
  }
  if (selection->cgroups.size() + selection->containers.size() <= MAX_SELECTORS) return true;
  return ThrowType(env, "cgroups and containers have too many items");
}

bool ReadOptions(Napi::Env env, const Napi::Value& value, CaptureOptions* options) {
  if (!value.IsObject()) return ThrowType(env, "options is not an object");
  const auto object = value.As<Napi::Object>();
  const double page = static_cast<double>(sysconf(_SC_PAGESIZE));
  uint64_t payload = 0, stdio_payload = 0;
  if (!ReadFamilies(env, object.Get("families"), options) ||
      !ReadNumbers(env, object, "plainPorts", {MAX_PLAIN_PORTS, 65535}, &options->plain_ports) ||
      !ReadInteger(env, object.Get("ringBytes"), "ringBytes", page, kMaxRingBytes, &options->ring_bytes) ||
      !ReadInteger(env, object.Get("payloadBytesPerCall"), "payloadBytesPerCall", 0, kMaxPayloadBytes, &payload) ||
      !ReadInteger(env, object.Get("stdioBytesPerCall"), "stdioBytesPerCall", 0, kMaxPayloadBytes, &stdio_payload) ||
      !ReadFlag(env, object, "allFds", &options->all_fds) ||
      !ReadNumbers(env, object, "fds", {MAX_SELECTED_FDS, MAX_SELECTED_FDS - 1}, &options->fds) ||
      !ReadSelection(env, object.Get("selection"), &options->selection) ||
      !ReadInteger(env, object.Get("queuedBytes"), "queuedBytes", 1, 9007199254740991.0, &options->queued_bytes)) {
    return false;
  }
  if (!std::has_single_bit(options->ring_bytes)) return ThrowType(env, "ringBytes is not a power of two");
  options->payload_bytes_per_call = static_cast<uint32_t>(payload);
  options->stdio_bytes_per_call = static_cast<uint32_t>(stdio_payload);
  const Napi::Value ignore = object.Get("ignoreSocketTracepoints");
  if (ignore.IsEmpty()) return false;
  options->ignore_socket_tracepoints = ignore.IsBoolean() && ignore.As<Napi::Boolean>();
  return true;
}

bool ReadString(Napi::Env env, const Napi::Value& value, const char* name, std::string* result) {
  if (value.IsEmpty() || !value.IsString()) return ThrowType(env, std::string(name) + " is not a string");
  *result = value.As<Napi::String>().Utf8Value();
  return true;
}

bool ReadTarget(Napi::Env env, const Napi::Value& value, UprobeTarget* target) {
  if (!value.IsObject()) return ThrowType(env, "target is not an object");
  const auto object = value.As<Napi::Object>();
  if (!ReadString(env, object.Get("program"), "program", &target->program) ||
      !ReadString(env, object.Get("path"), "path", &target->path) ||
      !ReadInteger(env, object.Get("offset"), "offset", 0, 9007199254740991.0, &target->offset) ||
      !ReadInteger(env, object.Get("cookie"), "cookie", 0, 9007199254740991.0, &target->cookie)) {
    return false;
  }
  const Napi::Value pid = object.Get("pid");
  if (pid.IsEmpty()) return false;
  uint64_t number = 0;
  if (pid.IsNull()) return true;
  if (!ReadInteger(env, pid, "pid", 1, kMaxPid, &number)) return false;
  target->pid = static_cast<int>(number);
  return true;
}

// Of cpus that counted anything: a machine may have hundreds that never ran a traced process.
Napi::Array CpuCounters(Napi::Env env, const std::vector<cpu_state>& states) {
  Napi::Array cpus = Napi::Array::New(env);
  for (size_t cpu = 0; cpu < states.size(); cpu++) {
    const cpu_state& state = states[cpu];
    if (std::all_of(std::begin(state.counters), std::end(state.counters), [](uint64_t value) { return value == 0; })) continue;
    Napi::Float64Array values = Napi::Float64Array::New(env, COUNTER_SLOTS);
    std::copy(std::begin(state.counters), std::end(state.counters), values.Data());
    Napi::Object one = Napi::Object::New(env);
    one.Set("cpu", static_cast<double>(cpu));
    one.Set("records", static_cast<double>(state.records));
    one.Set("values", values);
    cpus.Set(cpus.Length(), one);
  }
  return cpus;
}

}  // namespace

Napi::Function Capture::Define(Napi::Env env) {
  return DefineClass(env, "Capture", {
      InstanceMethod<&Capture::Load>("load"),
      InstanceMethod<&Capture::Trace>("trace"),
      InstanceMethod<&Capture::IsTraced>("isTraced"),
      InstanceMethod<&Capture::AttachUprobe>("attachUprobe"),
      InstanceMethod<&Capture::DetachUprobe>("detachUprobe"),
      InstanceMethod<&Capture::Sweep>("sweep"),
      InstanceMethod<&Capture::Start>("start"),
      InstanceMethod<&Capture::WatchMappings>("watchMappings"),
      InstanceMethod<&Capture::DrainAll>("drain"),
      InstanceMethod<&Capture::KernelCounters>("kernelCounters"),
      InstanceMethod<&Capture::Counters>("counters"),
      InstanceMethod<&Capture::Close>("close"),
  });
}

Capture::Capture(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<Capture>(info) {
  if (!ReadOptions(info.Env(), info[0], &options_)) {
    closed_ = true;
    return;
  }
  programs_ = std::make_unique<Programs>(options_);
}

// Not closed: the object was collected before start(), or the environment
// ends. The drain's own finalizer ends its thread; uprobes detach right here.
Capture::~Capture() = default;

Napi::Value Capture::Load(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (closed_ || programs_->loaded()) {
    Napi::Error::New(env, closed_ ? "the capture is closed" : "the capture is loaded").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  Failure failure = programs_->Load();
  if (!failure) {
    drain_ = std::make_shared<Drain>(options_.queued_bytes);
    failure = drain_->Open(programs_->ring_fd(), options_.ring_bytes);
  }
  if (failure) Release(env);
  return Finish(env, failure);
}

Napi::Value Capture::Trace(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  uint64_t pid = 0, root = 0;
  if (!IsReady(env) || !ReadInteger(env, info[0], "pid", 1, kMaxPid, &pid) ||
      !ReadInteger(env, info[1], "root", 1, kMaxPid, &root)) {
    return env.Undefined();
  }
  return Finish(env, programs_->Trace(static_cast<uint32_t>(pid), static_cast<uint32_t>(root)));
}

Napi::Value Capture::IsTraced(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  uint64_t pid = 0;
  if (!IsReady(env) || !ReadInteger(env, info[0], "pid", 1, kMaxPid, &pid)) return env.Undefined();
  return Napi::Boolean::New(env, programs_->IsTraced(static_cast<uint32_t>(pid)));
}

Napi::Value Capture::AttachUprobe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  UprobeTarget target;
  if (!IsReady(env) || !ReadTarget(env, info[0], &target)) return env.Undefined();
  uint32_t id = 0;
  const Failure failure = programs_->AttachUprobe(target, &id);
  if (failure) return Finish(env, failure);
  return Napi::Number::New(env, id);
}

Napi::Value Capture::DetachUprobe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  uint64_t id = 0;
  if (closed_ || !ReadInteger(env, info[0], "id", 0, 4294967295.0, &id)) return env.Undefined();
  std::vector<Link> links;
  if (Link link = programs_->TakeUprobe(static_cast<uint32_t>(id))) links.push_back(std::move(link));
  env.GetInstanceData<Environment>()->reaper.Take(std::move(links));
  return env.Undefined();
}

Napi::Value Capture::Sweep(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return IsReady(env) ? Finish(env, programs_->Sweep()) : env.Undefined();
}

Napi::Value Capture::Start(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!IsReady(env)) return env.Undefined();
  if (!info[0].IsFunction()) {
    ThrowType(env, "onBatch is not a function");
    return env.Undefined();
  }
  if (drain_->started()) {
    Napi::Error::New(env, "the capture is started").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const Failure failure = drain_->Start(env, info[0].As<Napi::Function>());
  // A running capture must not be collected because nobody holds its object.
  if (!failure) Ref();
  return Finish(env, failure);
}

Napi::Value Capture::WatchMappings(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!IsReady(env)) return env.Undefined();
  if (!info[0].IsFunction()) {
    ThrowType(env, "onMappings is not a function");
    return env.Undefined();
  }
  if (sideband_ != nullptr) {
    Napi::Error::New(env, "the capture watches mappings").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  auto sideband = std::make_shared<Sideband>();
  const Failure failure = sideband->Open(programs_->traced_fd());
  if (failure) return Finish(env, failure);
  sideband_ = std::move(sideband);
  sideband_->Start(env, info[0].As<Napi::Function>());
  return env.Undefined();
}

Napi::Value Capture::DrainAll(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!IsReady(env)) return env.Undefined();
  if (!drain_->started()) {
    Napi::Error::New(env, "the capture is not started").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  return drain_->Flush(env);
}

Napi::Value Capture::KernelCounters(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!closed_ && programs_->loaded()) {
    if (const Failure failure = programs_->ReadCounters(&last_cpu_states_)) return Finish(env, failure);
  }
  return CpuCounters(env, last_cpu_states_);
}

Napi::Value Capture::Counters(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (drain_ != nullptr) last_counters_ = drain_->counters();
  Napi::Object counters = Napi::Object::New(env);
  counters.Set("batches", static_cast<double>(last_counters_.batches));
  counters.Set("records", static_cast<double>(last_counters_.records));
  counters.Set("bytes", static_cast<double>(last_counters_.bytes));
  counters.Set("stalls", static_cast<double>(last_counters_.stalls));
  if (sideband_ != nullptr) last_sideband_ = sideband_->counters();
  counters.Set("mappings", static_cast<double>(last_sideband_.mappings));
  counters.Set("mappings_lost", static_cast<double>(last_sideband_.lost));
  return counters;
}

Napi::Value Capture::Close(const Napi::CallbackInfo& info) {
  if (!closed_) Release(info.Env());
  return info.Env().Undefined();
}

bool Capture::IsReady(Napi::Env env) const {
  if (!closed_ && programs_->loaded() && drain_ != nullptr) return true;
  Napi::Error::New(env, closed_ ? "the capture is closed" : "the capture is not loaded").ThrowAsJavaScriptException();
  return false;
}

Napi::Value Capture::Finish(Napi::Env env, const Failure& failure) const {
  if (failure) Throw(env, *failure);
  return env.Undefined();
}

// The counters stay readable: what they were at the end.
void Capture::Release(Napi::Env env) {
  closed_ = true;
  if (programs_->loaded()) static_cast<void>(programs_->ReadCounters(&last_cpu_states_));
  if (drain_ != nullptr) {
    const bool started = drain_->started();
    drain_->Close(env);
    last_counters_ = drain_->counters();
    drain_.reset();
    if (started) Unref();
  }
  if (sideband_ != nullptr) {
    sideband_->Close();
    last_sideband_ = sideband_->counters();
    sideband_.reset();
  }
  env.GetInstanceData<Environment>()->reaper.Take(programs_->TakeUprobes());
  programs_.reset();
}

}  // namespace agentsight
