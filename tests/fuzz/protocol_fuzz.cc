// SPDX-License-Identifier: MIT
// Fuzzes the reading of control messages: any bytes give a request or a refusal that can be
// answered in one line, never a crash or an exception.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "control/change/steps.h"
#include "control/protocol.h"
#include "control/render.h"
#include "control/words/changes.h"
#include "policy/edit.h"

namespace {

using namespace portcullis::control;

/// An answer of ours is one line that our own client understands.
void check_answer(const std::string& line) {
  PORTCULLIS_CHECK(line.find('\n') == std::string::npos);
  const auto answer = parse_answer(line);
  PORTCULLIS_CHECK(answer.has_value());
}

/// Steps are edits or refused; what was read is written as what reads the same.
void check_steps(nlohmann::json list) {
  const auto steps = read_steps(list);
  if (!steps) {
    PORTCULLIS_CHECK(!steps.error().message.empty());
    return;
  }
  nlohmann::json written = steps_json(*steps);
  const nlohmann::json same = written;
  const auto again = read_steps(written);
  PORTCULLIS_CHECK(again && steps_json(*again) == same);
  static_cast<void>(portcullis::policy::edits_of(*steps));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), count);
  const auto request = parse_request(text);
  if (!request) {
    PORTCULLIS_CHECK(!request.error().error.message.empty());
    check_answer(error_line(request.error().id, request.error().error));
  } else {
    check_answer(result_line(request->id, request->params));
    // A client shows whatever a daemon of another version may send.
    static_cast<void>(render_status(request->params));
    static_cast<void>(render_history(request->params));
    static_cast<void>(render_commit(request->params));
    check_steps(request->params.value("steps", nlohmann::json()));
  }
  if (const auto answer = parse_answer(text); answer && !*answer) {
    static_cast<void>(render_error(answer->error()));
  }
  return 0;
}
