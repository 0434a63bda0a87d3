// SPDX-License-Identifier: MIT
// The words on the control socket: JSON-RPC 2.0, one message a line, parsed with bounds.
// The contract for clients is docs/protocol.md. Thread: any, no state.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace portcullis::control {

/// The version of the methods and their answers; `hello` and the request's `protocol` name it.
inline constexpr int kProtocolVersion = 1;
/// Arrays and objects inside one another, and values in one message, at most.
inline constexpr std::size_t kMessageDepthMax = 32;
inline constexpr std::size_t kMessageValuesMax = 200'000;

enum class RpcCode : int {
  parse_error = -32700,
  invalid_request = -32600,
  method_not_found = -32601,
  invalid_params = -32602,
  internal_error = -32603,
  unsupported_protocol = -32001,
  busy = -32002,              // Too many clients, or too much unfinished input.
  timed_out = -32003,         // The message did not become complete in time.
  rejected = -32010,          // The manifests are not enforceable; data.diagnostics says why.
  unknown_revision = -32011,  // Not in the history.
  not_published = -32012,     // Compiled, but the dataplane did not take it.
  not_answered = -32013,      // A worker did not say in time what its flows are.
  on_trial = -32014,          // A change waits to be confirmed: no other one meanwhile.
  no_trial = -32015,          // Nothing waits to be confirmed, or not this revision.
  forbidden = -32016,         // The caller has not the role that the method takes.
  not_kept = -32017,          // The disk did not take the change, so it was not enforced.
  port_refused = -32018,      // A port could not come or go; nothing has changed.
  changes_wait = -32019,      // Too many changes wait to be done.
};

struct RpcError {
  RpcCode code = RpcCode::internal_error;
  std::string message;
  nlohmann::json details = nlohmann::json::object();  // The `data` member; empty: left out.
};

struct Request {
  nlohmann::json id;         // String, integer or null.
  bool wants_reply = false;  // A notification (no id) gets none, whatever becomes of it.
  std::string method;
  nlohmann::json params = nlohmann::json::object();
};

/// A message that is no request, with the id it is answered under (null where it has none).
struct Refusal {
  nlohmann::json id;
  RpcError error;
};

/// Reads JSON from outside. Errors: not JSON, or over a bound; the message says which.
Result<nlohmann::json> parse_bounded(std::string_view text);

/// Reads one message (a line without its newline).
/// Errors: parse_error, invalid_request, invalid_params (params that are no object) and
/// unsupported_protocol; never an exception, whatever the bytes.
tl::expected<Request, Refusal> parse_request(std::string_view message);

/// Someone else's text in quotes, for a message of ours: the head of it if it is long.
std::string excerpt(std::string_view text);

/// One line without its newline. Text that is not UTF-8 is replaced, never refused.
std::string request_line(int id, std::string_view method, nlohmann::json params);
std::string result_line(const nlohmann::json& id, nlohmann::json result);
std::string error_line(const nlohmann::json& id, const RpcError& error);

/// An answer as the client sees it: a result, or an error.
using Answer = tl::expected<nlohmann::json, RpcError>;

/// Reads an answer line. Errors: it is no JSON-RPC answer; or none to request `id`, where that is
/// given. An error without an id answers whichever request it is: that one could not be read.
Result<Answer> parse_answer(std::string_view line, std::optional<int> id = std::nullopt);

}  // namespace portcullis::control
