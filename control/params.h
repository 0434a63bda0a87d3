// SPDX-License-Identifier: MIT
// Reading the parameters of a method: what is wrong with one is said with its name.
// Thread: pure functions.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "control/change/established.h"
#include "control/change/terms.h"
#include "control/protocol.h"
#include "control/reconcile.h"
#include "control/server.h"
#include "policy/edit.h"
#include "policy/snapshot.h"

namespace portcullis::control {

tl::unexpected<RpcError> refuse(RpcCode code, std::string message, nlohmann::json details = {});
tl::unexpected<RpcError> wrong_params(std::string message);

/// Errors: a parameter that is not known. It is more likely misspelt than meant to be ignored.
tl::expected<void, RpcError> only(const nlohmann::json& params,
                                  std::initializer_list<std::string_view> known);

/// A string parameter; absent: `otherwise`, or an error where that is absent too.
tl::expected<std::string, RpcError> text_param(const nlohmann::json& params,
                                               const std::string& name,
                                               const char* otherwise = nullptr);

/// The parameter `manifests`, whose texts it takes away.
tl::expected<std::vector<policy::Manifest>, RpcError> manifests_of(nlohmann::json& params);

/// The parameter `steps`, likewise.
tl::expected<std::vector<policy::Step>, RpcError> steps_of(nlohmann::json& params);

/// Who asks, with the parameter `comment`.
tl::expected<Intent, RpcError> intent_of(const Caller& caller, const nlohmann::json& params);

/// The parameters `confirm_s` and `guards` of a commit: nothing where it is not on trial.
tl::expected<std::optional<Terms>, RpcError> terms_of(const nlohmann::json& params);

/// The parameters `established` and `drain_s`: nothing where the configuration is to decide.
tl::expected<std::optional<Established>, RpcError> established_of(const nlohmann::json& params);

/// True of text that may go to a log or a terminal as it is.
bool is_printable(std::string_view text);

}  // namespace portcullis::control
