// SPDX-License-Identifier: MIT
// Manifests in the words of the control socket.
// Thread: pure functions.
#pragma once

#include <span>

#include <nlohmann/json.hpp>

#include "policy/snapshot.h"

namespace portcullis::control {

/// [{"name": ..., "text": ...}, ...].
nlohmann::json manifests_json(std::span<const policy::Manifest> manifests);

}  // namespace portcullis::control
