// SPDX-License-Identifier: MIT
// Of a status, for a person: what has a limit, and what policy does not reach, as rows of two
// cells. A member that a status lacks (an older daemon) gives no row, and is never an error.
// Thread: pure functions.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace portcullis::control {

/// The rows `limits`, `unselected` and `unmanaged`.
std::vector<std::vector<std::string>> standing_rows(const nlohmann::json& status);

}  // namespace portcullis::control
