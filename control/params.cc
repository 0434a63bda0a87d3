// SPDX-License-Identifier: MIT
#include "control/params.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "control/change/steps.h"

namespace portcullis::control {

using nlohmann::json;

namespace {

constexpr std::size_t kCommentBytesMax = 1024;
constexpr std::chrono::seconds kConfirmMax{604'800};  // A week.
constexpr std::size_t kGuardsMax = 16;

/// A number of seconds from 1. Errors: it is none.
tl::expected<std::chrono::seconds, RpcError> seconds_of(const json& value,
                                                        std::string_view name,
                                                        std::chrono::seconds most) {
  if (!value.is_number_unsigned() || value == 0U || value > most.count()) {
    return wrong_params(
        fmt::format("{} is not a number of seconds from 1 to {}", name, most.count()));
  }
  return std::chrono::seconds(value.get<std::uint64_t>());
}

}  // namespace

tl::unexpected<RpcError> refuse(RpcCode code, std::string message, json details) {
  return tl::unexpected(
      RpcError{.code = code, .message = std::move(message), .details = std::move(details)});
}

tl::unexpected<RpcError> wrong_params(std::string message) {
  return refuse(RpcCode::invalid_params, std::move(message));
}

tl::expected<void, RpcError> only(const json& params,
                                  std::initializer_list<std::string_view> known) {
  for (const auto& [name, value] : params.items()) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return wrong_params(fmt::format(
          "there is no parameter {}; known are: {}", excerpt(name), fmt::join(known, ", ")));
    }
  }
  return {};
}

tl::expected<std::string, RpcError> text_param(const json& params,
                                               const std::string& name,
                                               const char* otherwise) {
  const auto found = params.find(name);
  if (found == params.end() && otherwise != nullptr) {
    return std::string(otherwise);
  }
  if (found == params.end() || !found->is_string()) {
    return wrong_params(fmt::format("{} is missing or not a string", name));
  }
  return found->get<std::string>();
}

bool is_printable(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char letter) {
    const auto byte = static_cast<unsigned char>(letter);
    return byte < 0x20 || byte == 0x7f;
  });
}

tl::expected<std::vector<policy::Manifest>, RpcError> manifests_of(json& params) {
  auto manifests = read_manifests(params["manifests"]);
  if (!manifests) {
    return wrong_params(manifests.error().message);
  }
  return *std::move(manifests);
}

tl::expected<std::vector<policy::Step>, RpcError> steps_of(json& params) {
  auto steps = read_steps(params["steps"]);
  if (!steps) {
    return wrong_params(steps.error().message);
  }
  return *std::move(steps);
}

tl::expected<Intent, RpcError> intent_of(const Caller& caller, const json& params) {
  auto comment = text_param(params, "comment", "");
  if (!comment) {
    return tl::unexpected(std::move(comment).error());
  }
  if (comment->size() > kCommentBytesMax || !is_printable(*comment)) {
    return wrong_params(
        fmt::format("comment is longer than {} bytes or has control characters", kCommentBytesMax));
  }
  return Intent{.who = caller.text(), .comment = *std::move(comment)};
}

tl::expected<std::optional<Terms>, RpcError> terms_of(const json& params) {
  const auto span = params.find("confirm_s");
  const auto guards = params.find("guards");
  if (span == params.end()) {
    if (guards != params.end()) {
      return wrong_params("guards without confirm_s: only what is on trial can be undone");
    }
    return std::nullopt;
  }
  const auto confirm_within = seconds_of(*span, "confirm_s", kConfirmMax);
  if (!confirm_within) {
    return tl::unexpected(confirm_within.error());
  }
  Terms terms{.confirm_within = *confirm_within};
  if (guards == params.end()) {
    return terms;
  }
  if (!guards->is_array() || guards->size() > kGuardsMax) {
    return wrong_params(fmt::format("guards is not a list of at most {} texts", kGuardsMax));
  }
  for (const json& text : *guards) {
    if (!text.is_string() || !is_printable(text.get_ref<const std::string&>())) {
      return wrong_params("guards has something that is no text, or control characters");
    }
    auto guard = Guard::parse(text.get_ref<const std::string&>());
    if (!guard) {
      return wrong_params(guard.error().message);
    }
    terms.guards.push_back(*std::move(guard));
  }
  return terms;
}

tl::expected<std::optional<Established>, RpcError> established_of(const json& params) {
  const auto word = text_param(params, "established", "");
  if (!word) {
    return tl::unexpected(word.error());
  }
  const auto span = params.find("drain_s");
  const auto fate = fate_of(*word);
  if (!fate && params.contains("established")) {
    return wrong_params(
        fmt::format("established: {} is none of revalidate, drain and keep", excerpt(*word)));
  }
  const bool drains = fate == Established::Fate::drain;
  if (span != params.end() && !drains) {
    return wrong_params("drain_s says how long a drain takes: add \"established\": \"drain\"");
  }
  if (!fate) {
    return std::nullopt;
  }
  Established established{.fate = *fate};
  if (drains) {
    established.drain = Established::kDrainDefault;
  }
  if (span != params.end()) {
    const auto drain = seconds_of(*span, "drain_s", Established::kDrainMax);
    if (!drain) {
      return tl::unexpected(drain.error());
    }
    established.drain = *drain;
  }
  return established;
}

}  // namespace portcullis::control
