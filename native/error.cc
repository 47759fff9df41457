// SPDX-License-Identifier: MIT
#include "native/error.h"

#include <cstring>

#include "native/environment.h"

namespace agentsight {

void Throw(Napi::Env env, const Error& error) {
  auto* environment = env.GetInstanceData<Environment>();
  Napi::Object options = Napi::Object::New(env);
  if (!error.hint.empty()) options.Set("hint", error.hint);
  if (!error.detail.empty()) options.Set("detail", error.detail);
  Napi::Value made = environment->error_class.New({
      Napi::String::New(env, error.code),
      Napi::String::New(env, error.message),
      options,
  });
  // Empty where the constructor itself threw: that exception is pending then.
  if (!made.IsEmpty()) napi_throw(env, made);
}

std::string ErrnoText(int number) {
  char buffer[128];
  return strerror_r(number, buffer, sizeof(buffer));
}

}  // namespace agentsight
