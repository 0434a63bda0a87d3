// SPDX-License-Identifier: MIT
#include "control/params.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace portcullis::control {

using nlohmann::json;

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

}  // namespace portcullis::control
