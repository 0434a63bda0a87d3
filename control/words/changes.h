// SPDX-License-Identifier: MIT
// Answers about changes for a person: tables and sentences, every line ended.
// Thread: pure functions.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "control/words/cells.h"

namespace portcullis::control {

std::string render_commit(const nlohmann::json& result);
std::string render_confirm(const nlohmann::json& result);
std::string render_plan(const nlohmann::json& result);

/// Of a status, as rows of two cells: what is on trial, and how its guards stand; and a drain.
std::vector<Row> pending_rows(const nlohmann::json& status);

}  // namespace portcullis::control
