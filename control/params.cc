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
constexpr std::uint64_t kConfirmSecondsMax = 604'800;  // A week.
constexpr std::size_t kGuardsMax = 16;

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
  if (!span->is_number_unsigned() || *span == 0U || *span > kConfirmSecondsMax) {
    return wrong_params(
        fmt::format("confirm_s is not a number of seconds from 1 to {}", kConfirmSecondsMax));
  }
  Terms terms{.confirm_within = std::chrono::seconds(span->get<std::uint64_t>())};
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

}  // namespace portcullis::control
