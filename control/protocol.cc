// SPDX-License-Identifier: MIT
#include "control/protocol.h"

#include <algorithm>
#include <exception>
#include <utility>

#include <fmt/format.h>

namespace portcullis::control {
namespace {

using nlohmann::json;

/// Hostile text in our own messages is cut to this many bytes.
constexpr std::size_t kQuotedBytesMax = 64;

/// Walks a message without building it, and stops where a bound is broken: without bounds a small
/// message could take memory a hundred times its size, or deep recursion when it is printed.
/// (The library's own filter callback is quadratic in the elements of an array.)
class BoundsCheck : public nlohmann::json_sax<json> {
 public:
  [[nodiscard]] const std::string& problem() const { return problem_; }

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t) override { return value(); }
  bool number_unsigned(number_unsigned_t) override { return value(); }
  bool number_float(number_float_t, const string_t&) override { return value(); }
  bool string(string_t&) override { return value(); }
  bool binary(binary_t&) override { return value(); }
  bool key(string_t&) override { return value(); }
  bool start_object(std::size_t) override { return enter(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool parse_error(std::size_t position,
                   const std::string&,
                   const nlohmann::detail::exception&) override {
    problem_ = fmt::format("not JSON at byte {}", position);
    return false;
  }

 private:
  bool value() {
    if (++values_ > kMessageValuesMax) {
      problem_ = fmt::format("more than {} values", kMessageValuesMax);
    }
    return problem_.empty();
  }
  bool enter() {
    if (++depth_ > kMessageDepthMax) {
      problem_ = fmt::format("nested more than {} deep", kMessageDepthMax);
    }
    return value();
  }
  bool leave() {
    --depth_;
    return true;
  }

  std::size_t values_ = 0;
  std::size_t depth_ = 0;
  std::string problem_;
};

bool is_id(const json& id) {
  return id.is_string() || id.is_number_integer() || id.is_null();
}

tl::unexpected<Refusal> refuse(json id, RpcCode code, std::string message, json details = {}) {
  RpcError error{.code = code, .message = std::move(message), .details = std::move(details)};
  return tl::unexpected(Refusal{.id = std::move(id), .error = std::move(error)});
}

std::string line_of(const json& message) {
  return message.dump(-1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace);
}

/// True when the request asks for another protocol than ours.
bool speaks_other(const json& message) {
  const auto protocol = message.find("protocol");
  return protocol != message.end() && *protocol != kProtocolVersion;
}

}  // namespace

std::string excerpt(std::string_view text) {
  const std::string_view head = text.substr(0, kQuotedBytesMax);
  return fmt::format("\"{}{}\"", head, head.size() < text.size() ? "..." : "");
}

Result<json> parse_bounded(std::string_view text) {
  try {
    BoundsCheck check;
    if (!json::sax_parse(text.begin(), text.end(), &check)) {
      return fail(check.problem());
    }
    return json::parse(text.begin(), text.end());
  } catch (const std::exception& error) {
    return fail(error.what());
  }
}

tl::expected<Request, Refusal> parse_request(std::string_view message) {
  using enum RpcCode;
  Result<json> parsed = parse_bounded(message);
  if (!parsed) {
    return refuse(nullptr, parse_error, "message cannot be parsed: " + parsed.error().message);
  }
  json& body = *parsed;
  if (body.is_array()) {
    return refuse(nullptr, invalid_request, "batches are not served: send one request a line");
  }
  if (!body.is_object()) {
    return refuse(nullptr, invalid_request, "a request is an object");
  }
  const bool has_id = body.contains("id");
  json id = has_id ? std::move(body["id"]) : json();
  if (!is_id(id)) {
    return refuse(nullptr, invalid_request, "id is neither a string, an integer nor null");
  }
  if (const auto version = body.find("jsonrpc"); version == body.end() || *version != "2.0") {
    return refuse(std::move(id), invalid_request, "jsonrpc is not \"2.0\"");
  }
  const auto method = body.find("method");
  if (method == body.end() || !method->is_string()) {
    return refuse(std::move(id), invalid_request, "method is missing or not a string");
  }
  if (speaks_other(body)) {
    return refuse(std::move(id),
                  unsupported_protocol,
                  fmt::format("protocol {} is spoken here", kProtocolVersion),
                  {{"supported", json::array({kProtocolVersion})}});
  }
  Request request{.id = std::move(id), .wants_reply = has_id};
  request.method = std::move(method->get_ref<std::string&>());
  if (const auto params = body.find("params"); params != body.end()) {
    if (!params->is_object()) {
      return refuse(std::move(request.id),
                    invalid_params,
                    fmt::format("params of {} is not an object", excerpt(request.method)));
    }
    request.params = std::move(*params);
  }
  return request;
}

std::string request_line(int id, std::string_view method, json params) {
  return line_of({{"jsonrpc", "2.0"},
                  {"id", id},
                  {"protocol", kProtocolVersion},
                  {"method", method},
                  {"params", std::move(params)}});
}

std::string result_line(const json& id, json result) {
  return line_of({{"jsonrpc", "2.0"}, {"id", id}, {"result", std::move(result)}});
}

std::string error_line(const json& id, const RpcError& error) {
  json body = {{"code", static_cast<int>(error.code)}, {"message", error.message}};
  if (!error.details.empty()) {
    body["data"] = error.details;
  }
  return line_of({{"jsonrpc", "2.0"}, {"id", id}, {"error", std::move(body)}});
}

Result<Answer> parse_answer(std::string_view line, std::optional<int> id) {
  json body = json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
  if (!body.is_object()) {
    return fail("the daemon answered something that is not JSON-RPC");
  }
  const json& answered = body["id"];  // Null where it has none.
  const bool is_result = body.contains("result");
  if (id && answered != *id && (is_result || !answered.is_null())) {
    return fail(fmt::format("the answer to request {} came where that to {} was due",
                            answered.dump(-1, ' ', false, json::error_handler_t::replace),
                            *id));
  }
  if (const auto result = body.find("result"); result != body.end()) {
    return Answer(std::move(*result));
  }
  const auto error = body.find("error");
  if (error == body.end() || !error->is_object() || !error->contains("code") ||
      !(*error)["code"].is_number_integer() || !error->contains("message") ||
      !(*error)["message"].is_string()) {
    return fail("the daemon's answer has neither a result nor an error");
  }
  RpcError refusal{.code = static_cast<RpcCode>((*error)["code"].get<int>()),
                   .message = std::move((*error)["message"].get_ref<std::string&>())};
  if (const auto details = error->find("data"); details != error->end()) {
    refusal.details = std::move(*details);
  }
  return Answer(tl::unexpected(std::move(refusal)));
}

}  // namespace portcullis::control
