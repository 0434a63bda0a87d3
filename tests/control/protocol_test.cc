// SPDX-License-Identifier: MIT
#include "control/protocol.h"

#include <string>

#include <gtest/gtest.h>

namespace portcullis::control {
namespace {

using nlohmann::json;

/// The code a message is refused with, or 0 when it is a request.
int code_of(const std::string& message) {
  const auto parsed = parse_request(message);
  return parsed ? 0 : static_cast<int>(parsed.error().error.code);
}

std::string with(const std::string& members) {
  return R"({"jsonrpc":"2.0","id":1,"method":"status")" + members + "}";
}

TEST(Protocol, ReadsARequest) {
  const auto request =
      parse_request(R"({"jsonrpc":"2.0","id":"a","method":"rollback","params":{"revision":3}})");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->id, "a");
  EXPECT_TRUE(request->wants_reply);
  EXPECT_EQ(request->method, "rollback");
  EXPECT_EQ(request->params, (json{{"revision", 3}}));
}

TEST(Protocol, GivesANotificationNoReply) {
  const auto request = parse_request(R"({"jsonrpc":"2.0","method":"status"})");
  ASSERT_TRUE(request);
  EXPECT_FALSE(request->wants_reply);
  EXPECT_TRUE(request->params.is_object());
}

TEST(Protocol, RefusesWhatIsNotJson) {
  EXPECT_EQ(code_of(""), -32700);
  EXPECT_EQ(code_of("{"), -32700);
  EXPECT_EQ(code_of(with("") + "}"), -32700);
  EXPECT_EQ(code_of(std::string("\0\xff\xfe", 3)), -32700);
  EXPECT_EQ(code_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xc3\x28\"}"), -32700);
  EXPECT_EQ(code_of(with(R"(,"params":{"x":1e99999}})")), -32700);
}

TEST(Protocol, RefusesWhatIsNoRequest) {
  EXPECT_EQ(code_of("[]"), -32600);
  EXPECT_EQ(code_of("7"), -32600);
  EXPECT_EQ(code_of("null"), -32600);
  EXPECT_EQ(code_of(R"({"id":1,"method":"status"})"), -32600);
  EXPECT_EQ(code_of(R"({"jsonrpc":"1.0","id":1,"method":"status"})"), -32600);
  EXPECT_EQ(code_of(R"({"jsonrpc":"2.0","id":1})"), -32600);
  EXPECT_EQ(code_of(R"({"jsonrpc":"2.0","id":1,"method":5})"), -32600);
  EXPECT_EQ(code_of(R"({"jsonrpc":"2.0","id":{},"method":"status"})"), -32600);
  EXPECT_EQ(code_of(R"({"jsonrpc":"2.0","id":1.5,"method":"status"})"), -32600);
}

TEST(Protocol, RefusesParamsThatAreNoObjectUnderTheRequestsId) {
  const auto refused = parse_request(with(R"(,"params":[1])"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().error.code, RpcCode::invalid_params);
  EXPECT_EQ(refused.error().id, 1);
}

TEST(Protocol, RefusesDepthBeyondItsBound) {
  const auto nested = [](std::size_t depth) {
    return with(R"(,"params":{"x":)" + std::string(depth, '[') + std::string(depth, ']') + "}");
  };
  EXPECT_EQ(code_of(nested(kMessageDepthMax - 2)), 0);
  EXPECT_EQ(code_of(nested(kMessageDepthMax)), -32700);
  EXPECT_EQ(code_of(nested(1'000'000)), -32700);
  EXPECT_EQ(code_of(std::string(1'000'000, '[')), -32700);
  EXPECT_EQ(code_of(std::string(1'000'000, '{')), -32700);
}

TEST(Protocol, RefusesMoreValuesThanItsBound) {
  std::string many = R"(,"params":{"x":[)";
  for (std::size_t i = 0; i < kMessageValuesMax; ++i) {
    many += "{},";
  }
  EXPECT_EQ(code_of(with(many + "{}]}")), -32700);
}

TEST(Protocol, NegotiatesItsVersion) {
  EXPECT_EQ(code_of(with(R"(,"protocol":1)")), 0);
  EXPECT_EQ(code_of(with(R"(,"protocol":"1")")), -32001);
  const auto refused = parse_request(with(R"(,"protocol":99)"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().error.details["supported"], json::array({kProtocolVersion}));
}

TEST(Protocol, WritesOneLineWhateverTheText) {
  const std::string line = error_line("x", {.code = RpcCode::rejected, .message = "a\nb\xff"});
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto answer = parse_answer(line);
  ASSERT_TRUE(answer);
  ASSERT_FALSE(*answer);
  EXPECT_EQ(answer->error().code, RpcCode::rejected);
  EXPECT_EQ(answer->error().message, "a\nb\xef\xbf\xbd");
}

TEST(Protocol, ReadsItsOwnAnswers) {
  const auto answer = parse_answer(result_line(1, {{"ok", true}}));
  ASSERT_TRUE(answer);
  ASSERT_TRUE(*answer);
  EXPECT_EQ((**answer)["ok"], true);
  EXPECT_FALSE(parse_answer("{}"));
  EXPECT_FALSE(parse_answer("[1]"));
  EXPECT_FALSE(parse_answer(R"({"error":{"code":"x","message":"y"}})"));
  EXPECT_FALSE(parse_answer("garbage"));
}

TEST(Protocol, ReadsAnAnswerOnlyToItsRequest) {
  EXPECT_TRUE(parse_answer(result_line(1, json::object()), 1));
  EXPECT_FALSE(parse_answer(result_line(2, json::object()), 1));
  EXPECT_FALSE(parse_answer(result_line("1", json::object()), 1));
  EXPECT_FALSE(parse_answer(result_line(nullptr, json::object()), 1));
  EXPECT_FALSE(parse_answer(error_line(2, {.message = "no"}), 1));
  EXPECT_TRUE(parse_answer(error_line(nullptr, {.message = "what was that?"}), 1));
}

}  // namespace
}  // namespace portcullis::control
