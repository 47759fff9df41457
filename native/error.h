// SPDX-License-Identifier: MIT
// A failure that the world caused, on its way to JavaScript. Plain data: any
// thread may hold one; only the JavaScript thread turns it into an exception.
#pragma once

#include <napi.h>

#include <optional>
#include <string>

namespace agentsight {

struct Error {
  std::string code;     // an ErrorCode of src/errors.ts
  std::string message;  // "could not <do what>: <cause>"
  std::string hint = {};
  std::string detail = {};
};

// Nothing when the step succeeded.
using Failure = std::optional<Error>;

// Throws it as an instance of the class that the addon was bound with.
void Throw(Napi::Env env, const Error& error);

// Text of an errno value; thread-safe.
std::string ErrnoText(int number);

}  // namespace agentsight
