// SPDX-License-Identifier: MIT
#include "observe/replay_report.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "classifier/compile.h"
#include "classifier/key.h"

namespace portcullis::observe {
namespace {

using classifier::Decision;
using classifier::rule_id;
using dataplane::DropReason;
using dataplane::Outcome;
using dataplane::ReplayRecord;

IpAddress ip(std::string_view text) {
  return parse_ip(text).value();
}

/// Two pods, both families, and one policy rule with its isolation.
struct Names {
  classifier::RuleSet rules;
  policy::Provenance provenance;
  std::vector<policy::EndpointName> endpoints;
  std::unique_ptr<const classifier::Table> table;

  Names() {
    rules.endpoints = {{.addresses = {ip("10.0.0.1"), ip("2001:db8::1")}},
                       {.addresses = {ip("10.0.0.2"), ip("2001:db8::2")}}};
    endpoints = {{"shop", "web"}, {"shop", "db"}};
    rules.rules = {{.provenance = 0}, {.action = classifier::Action::deny, .provenance = 1}};
    rules.sets = {{.everything = true}};
    rules.port_sets = {{.everything = true}};
    using classifier::Direction;
    provenance = {{"NetworkPolicy", "shop/db", Direction::ingress, 1, {"db.yaml", 12, 0}},
                  {"NetworkPolicy", "shop/db", Direction::ingress, 0, {"db.yaml", 1, 0}}};
    table = classifier::compile(rules).value();
  }
  [[nodiscard]] Enforced enforced() const { return {*table, rules, provenance, endpoints}; }
};

ReplayRecord record(std::string_view src, std::string_view dst, std::uint64_t packets) {
  return {.has_addresses = true,
          .src = ip(src),
          .dst = ip(dst),
          .protocol = classifier::kProtocolTcp,
          .dst_port = 5432,
          .action = Outcome::Action::forward,
          .reason = DropReason::none,
          .verdict = {Decision::allow(rule_id(classifier::Builtin::default_allow)),
                      Decision::allow(rule_id(std::size_t{0}))},
          .packets = packets,
          .flows = 1};
}

dataplane::ReplayResult result() {
  dataplane::ReplayResult made{.packets = 12, .forwarded = 8, .dropped = 3, .link = 1};
  ReplayRecord denied = record("203.0.113.9", "10.0.0.2", 2);
  denied.action = Outcome::Action::drop;
  denied.reason = DropReason::policy_denied;
  denied.verdict = {Decision::allow(rule_id(classifier::Builtin::no_subject)),
                    Decision::deny(rule_id(std::size_t{1}))};
  made.records = {record("10.0.0.1", "10.0.0.2", 5),
                  record("2001:db8::1", "2001:db8::2", 3),
                  denied,
                  {.action = Outcome::Action::link, .packets = 1},
                  {.reason = DropReason::first_fragment_missing, .packets = 1}};
  return made;
}

TEST(ReplayReport, NamesWorkloadsAndRulesAndJoinsTheFamiliesOfAPod) {
  const Names names;
  const ReplayReport made = report(result(), names.enforced());
  ASSERT_EQ(made.rows.size(), 4U);
  const ReplayRow& allowed = made.rows[3];
  EXPECT_EQ(allowed.source, "shop/web");
  EXPECT_EQ(allowed.destination, "shop/db");
  EXPECT_EQ(allowed.protocol, "TCP");
  EXPECT_EQ(allowed.port, "5432");
  EXPECT_EQ(allowed.verdict, "FORWARDED");
  EXPECT_EQ(allowed.packets, 8U);
  EXPECT_EQ(allowed.flows, 2U);
  EXPECT_EQ(allowed.rule,
            "egress: no policy: default allow; ingress: NetworkPolicy shop/db rule 1 "
            "(db.yaml:12)");
}

TEST(ReplayReport, ExplainsADenialByTheDirectionThatDenies) {
  const Names names;
  const ReplayReport made = report(result(), names.enforced());
  const ReplayRow& denied = made.rows[2];
  EXPECT_EQ(denied.source, "203.0.113.9");
  EXPECT_EQ(denied.verdict, "DROPPED");
  EXPECT_EQ(denied.reason, "POLICY_DENIED");
  EXPECT_EQ(denied.rule, "ingress: NetworkPolicy shop/db (db.yaml:1)");
}

TEST(ReplayReport, PrintsATableAndItsTotals) {
  const Names names;
  const std::string text = to_text(report(result(), names.enforced()));
  EXPECT_NE(text.find("SOURCE"), std::string::npos);
  EXPECT_NE(text.find("FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND\n"), std::string::npos);
  EXPECT_NE(text.find("12 packets: 8 forwarded, 3 dropped, 1 link\n"), std::string::npos);
}

TEST(ReplayReport, PrintsJson) {
  const Names names;
  const auto json = nlohmann::json::parse(to_json(report(result(), names.enforced())));
  EXPECT_EQ(json["packets"], 12);
  EXPECT_EQ(json["verdicts"].size(), 4U);
  EXPECT_EQ(json["verdicts"][3]["source"], "shop/web");
  EXPECT_EQ(json["verdicts"][2]["drop_reason_desc"], "POLICY_DENIED");
}

}  // namespace
}  // namespace portcullis::observe
