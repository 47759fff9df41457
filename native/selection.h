// SPDX-License-Identifier: MIT
// From the options of a capture to what the programs read: constants, and the
// maps of what they select. No state.
#pragma once

#include <functional>

#include "bpf/shared.h"
#include "native/options.h"

namespace agentsight {

config MakeConfig(const CaptureOptions& options);

// Descriptor of a loaded map by its name.
using MapLookup = std::function<int(const char*)>;

// 0, or a negative errno.
int FillSelectors(const Selection& selection, const MapLookup& map_fd);

}  // namespace agentsight
