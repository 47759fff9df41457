// SPDX-License-Identifier: MIT
// Reads what attaching needs to know of an ELF file. Any thread; keeps nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "native/error.h"

namespace agentsight {

struct ElfSymbol {
  std::string name;
  uint64_t offset = 0;
  uint64_t size = 0;
};

struct ElfInfo {
  std::string build_id;  // hex; empty when there is none
  std::vector<std::string> needed;
  std::optional<std::string> rpath;
  std::optional<std::string> runpath;
  std::vector<ElfSymbol> symbols;
};

// Finds a std::string_view without making a string of it.
struct NameHash : std::hash<std::string_view> {
  using is_transparent = void;
};
using Names = std::unordered_set<std::string, NameHash, std::equal_to<>>;

// The table of all symbols is read only for names that the exported ones lack.
Failure ReadElf(const std::string& path, const Names& names, ElfInfo* info);

}  // namespace agentsight
