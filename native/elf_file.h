// SPDX-License-Identifier: MIT
// Reads what attaching needs to know of an ELF file. Any thread; keeps nothing.
#pragma once

#include <cstdint>
#include <string>
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
  std::vector<ElfSymbol> symbols;
};

Failure ReadElf(const std::string& path, const std::unordered_set<std::string>& names, ElfInfo* info);

}  // namespace agentsight
