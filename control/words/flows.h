// SPDX-License-Identifier: MIT
// Answers about flows for a person: tables and sentences, every line ended.
// Thread: pure functions.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace portcullis::control {

/// Flows as `conntrack.list` tells them.
std::string flow_table(const nlohmann::json& flows);

std::string render_flows(const nlohmann::json& result);
std::string render_flow_top(const nlohmann::json& result);
std::string render_flow_stats(const nlohmann::json& result);
std::string render_flush(const nlohmann::json& result);

}  // namespace portcullis::control
