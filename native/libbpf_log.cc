// SPDX-License-Identifier: MIT
#include "native/libbpf_log.h"

#include <bpf/libbpf.h>

#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <vector>

namespace agentsight {
namespace {

// A verifier's log can have megabytes; the reason is at its end.
constexpr size_t kKeptBytes = 256 * 1024;

thread_local LibbpfLog* current = nullptr;

}  // namespace

struct LibbpfPrinter {
  static int Print(libbpf_print_level level, const char* format, va_list arguments) {
    if (current == nullptr || level == LIBBPF_DEBUG) return 0;
    va_list again;
    va_copy(again, arguments);
    const int length = vsnprintf(nullptr, 0, format, again);
    va_end(again);
    if (length <= 0) return 0;
    std::vector<char> line(static_cast<size_t>(length) + 1);
    vsnprintf(line.data(), line.size(), format, arguments);
    std::string& text = current->text_;
    text.append(line.data(), static_cast<size_t>(length));
    if (text.size() > kKeptBytes) text.erase(0, text.size() - kKeptBytes);
    return length;
  }
};

LibbpfLog::LibbpfLog() : outer_(current) {
  static std::once_flag once;
  std::call_once(once, [] { libbpf_set_print(LibbpfPrinter::Print); });
  current = this;
}

LibbpfLog::~LibbpfLog() { current = outer_; }

}  // namespace agentsight
