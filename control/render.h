// SPDX-License-Identifier: MIT
// The daemon's other answers for a person, beside those of control/words: tables and sentences,
// every line ended.
// A field that an answer lacks (an older or newer daemon) is left blank, never an error.
// Thread: pure functions.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "control/protocol.h"

namespace portcullis::control {

std::string render_status(const nlohmann::json& result);
/// Of a status: its ports.
std::string render_ports(const nlohmann::json& status);
std::string render_port_added(const nlohmann::json& result);
std::string render_port_removed(const nlohmann::json& result);
std::string render_history(const nlohmann::json& result);
std::string render_show(const nlohmann::json& result);
std::string render_diff(const nlohmann::json& result);
/// The message, and a line for every diagnostic, as the compiler of a language would print it.
std::string render_error(const RpcError& error);

}  // namespace portcullis::control
