// SPDX-License-Identifier: MIT
#include "control/flows.h"

#include "tests/control/live_commands.h"
#include "tests/support/tuple.h"

namespace portcullis::control {
namespace {

using dataplane::FlowTuple;
using dataplane::Packet;
using nlohmann::json;
using test::tuple;

/// A control plane over a worker that knows four flows: web to db by the policy's first rule, the
/// same under an earlier table, a ping, and one of IPv6.
class Flows : public LiveCommands {
 protected:
  Flows() {
    Prepared prepared = reconcile_.prepare(shop({80}));
    PORTCULLIS_CHECK(prepared && reconcile_.apply(*std::move(prepared), {}));
    publisher_.flow_table =
        std::make_unique<dataplane::Conntrack>(config::Conntrack{.flows_max = 64}, 7);
    insert(tuple("10.0.0.1", 40'000, "10.0.0.2", 80), 1);
    insert(tuple("10.0.0.1", 40'001, "10.0.0.2", 80), 0);
    FlowTuple ping = tuple("10.0.0.2", 77, "10.0.0.1", 8 << 8);
    ping.protocol = classifier::kProtocolIcmp;
    insert(ping, 1);
    insert(tuple("fd00::1", 40'000, "fd00::2", 443), 1);
  }

  void insert(const FlowTuple& flow, std::uint64_t epoch) {
    using classifier::Decision;
    dataplane::Conntrack& table = *publisher_.flow_table;
    const classifier::Verdict verdict{
        .egress = Decision::allow(rule_id(classifier::Builtin::default_allow)),
        .ingress = Decision::allow(classifier::rule_id(std::size_t{0}))};
    table.insert(
        {flow, Packet::Event::begin, verdict, epoch}, table.hash(flow), FakePublisher::kNowNs);
  }

  /// How many flows a list with these parameters has.
  std::size_t listed(const json& params) {
    const Answer answer = call("conntrack.list", params);
    EXPECT_TRUE(answer) << (answer ? "" : answer.error().message);
    return answer ? (*answer)["flows"].size() : 0;
  }
  void expect_refused(const std::string& method, const json& params, const std::string& words) {
    const Answer answer = call(method, params);
    ASSERT_FALSE(answer) << params;
    EXPECT_EQ(answer.error().code, RpcCode::invalid_params);
    EXPECT_NE(answer.error().message.find(words), std::string::npos) << answer.error().message;
  }
};

TEST_F(Flows, AreListedWithTheRulesThatAllowedThem) {
  const json flow =
      (*call("conntrack.list", {{"port", 40'000}, {"address", "10.0.0.0/8"}}))["flows"][0];
  EXPECT_EQ(flow["protocol"], "TCP");
  EXPECT_EQ(flow["source"], "10.0.0.1");
  EXPECT_EQ(flow["source_port"], 40'000);
  EXPECT_EQ(flow["destination"], "10.0.0.2");
  EXPECT_EQ(flow["destination_port"], 80);
  EXPECT_EQ(flow["state"], "opening");
  EXPECT_EQ(flow["timeout_s"], 30);
  EXPECT_EQ(flow["cpu"], 1);
  EXPECT_EQ(flow["egress"], json({{"builtin", "default_allow"}}));
  EXPECT_EQ(flow["ingress"]["policy"], "shop/db");
  EXPECT_EQ(flow["ingress"]["rule"], 1);
  EXPECT_EQ(flow["ingress"]["file"], "policy.yaml");
  EXPECT_GT(flow["ingress"]["line"], 0);
}

TEST_F(Flows, HaveNoRuleWhereAnEarlierTableJudgedThem) {
  const json flow = (*call("conntrack.list", {{"port", 40'001}}))["flows"][0];
  EXPECT_TRUE(flow["egress"].is_null());
  EXPECT_TRUE(flow["ingress"].is_null());
}

TEST_F(Flows, AreCountedByWhoHasThem) {
  json top = *call("conntrack.top");
  EXPECT_EQ(top["matched"], 4);
  EXPECT_EQ(top["missed_max"], 0);
  ASSERT_EQ(top["groups"].size(), 3U);
  EXPECT_EQ(
      top["groups"][0],
      json({{"source", "10.0.0.1"}, {"source_pod", "shop/web"}, {"flows", 2}, {"at_least", 2}}));
  EXPECT_EQ((*call("conntrack.top", {{"limit", 1}}))["groups"].size(), 1U);

  top = *call("conntrack.top", {{"by", "namespace"}});
  EXPECT_EQ(top["groups"],
            json({{{"namespace", "shop"}, {"flows", 3}, {"at_least", 3}},
                  {{"namespace", nullptr}, {"flows", 1}, {"at_least", 1}}}));

  top = *call("conntrack.top", {{"by", "port"}, {"protocol", "ICMP"}});
  ASSERT_EQ(top["groups"].size(), 1U);
  EXPECT_EQ(top["groups"][0]["protocol"], "ICMP");
  EXPECT_FALSE(top["groups"][0].contains("destination_port"));
  top = *call("conntrack.top", {{"by", "port"}, {"address", "fd00::/16"}});
  EXPECT_EQ(top["groups"][0]["destination_port"], 443);
  EXPECT_TRUE(top["groups"][0]["source_pod"].is_null());
  EXPECT_EQ(top["matched"], 1);

  top = *call("conntrack.top", {{"by", "pair"}, {"from", "shop/web"}});
  EXPECT_EQ(top["groups"][0]["destination_pod"], "shop/db");
  top = *call("conntrack.top", {{"by", "destination"}});
  EXPECT_EQ(top["groups"][0]["destination"], "10.0.0.2");
  EXPECT_FALSE(top["groups"][0].contains("source"));
  EXPECT_TRUE((*call("conntrack.top", {{"state", "closing"}}))["groups"].empty());
}

TEST_F(Flows, AreCountedInWords) {
  Told told = ask_flow_top(target(), {}, "source", 10);
  EXPECT_EQ(told.exit_code, 0);
  EXPECT_NE(told.output.find("shop/web (10.0.0.1)"), std::string::npos) << told.output;
  EXPECT_NE(told.output.find("50.0%"), std::string::npos) << told.output;
  EXPECT_NE(told.output.find("of 4 flows"), std::string::npos) << told.output;
  told = ask_flow_top(target(), {}, "namespace", 10);
  EXPECT_NE(told.output.find("(no pod's)"), std::string::npos) << told.output;
  told = ask_flow_top(target(), {.protocol = "TCP"}, "port", 10);
  EXPECT_NE(told.output.find("TCP 80"), std::string::npos) << told.output;
  told = ask_flow_top(target(), {.state = "closing"}, "pair", 10);
  EXPECT_EQ(told.output, "no flow matches\n");
}

TEST_F(Flows, AreNotCountedByWhatIsNoWord) {
  expect_refused("conntrack.top", {{"by", "pod"}}, "source, destination, pair, port or namespace");
  expect_refused("conntrack.top", {{"limit", 1001}}, "limit is not a number from 1 to 1000");
  expect_refused("conntrack.top", {{"all", true}}, "all");
  expect_refused("conntrack.list", {{"by", "source"}}, "by");
}

TEST_F(Flows, HaveAnIdentifierWhereTheyAreQueries) {
  const json flow = (*call("conntrack.list", {{"protocol", "ICMP"}}))["flows"][0];
  EXPECT_EQ(flow["icmp_id"], 77);
  EXPECT_EQ(flow["icmp_type"], 8);
  EXPECT_EQ(flow["icmp_code"], 0);
  EXPECT_FALSE(flow.contains("source_port"));
}

json to_params(const std::vector<policy::Manifest>& manifests) {
  json list = json::array();
  for (const policy::Manifest& one : manifests) {
    list.push_back({{"name", one.name}, {"text", one.text}});
  }
  return {{"manifests", std::move(list)}};
}

/// What web began is over where port 80 is closed to it, whoever judged it last; the ping and the
/// flow of addresses that are no pods' go on.
TEST_F(Flows, AreToldByAPlanAndEndedByACommit) {
  const json plan = *call("plan", to_params(shop({81})));
  EXPECT_EQ(plan["changed"], true);
  EXPECT_EQ(plan["revision"], 2);
  EXPECT_EQ(plan["flows"]["denied"], 2);
  ASSERT_EQ(plan["flows"]["examples"].size(), 2U);
  EXPECT_EQ(plan["flows"]["examples"][0]["ingress"]["policy"], "shop/db");
  EXPECT_EQ(reconcile_.history().size(), 1U);
  EXPECT_EQ(publisher_.flow_table->size(), 4U);

  const json done = *call("commit", to_params(shop({81})));
  EXPECT_EQ(done["revision"], 2);
  EXPECT_EQ(done["flows"]["denied"], 2);
  EXPECT_EQ(done["flows"]["ended"], 2);
  EXPECT_EQ(done["flows"]["kept"], 0);
  EXPECT_EQ(done["flows"]["established"], "revalidate");
  EXPECT_EQ(publisher_.flow_table->size(), 2U);

  const json again = *call("commit", to_params(shop({81})));
  EXPECT_EQ(again["changed"], false);
  EXPECT_EQ(again["flows"]["denied"], 0);
  EXPECT_EQ(again["flows"]["ended"], 0);
  EXPECT_EQ((*call("plan", to_params(shop({81}))))["changed"], false);
}

TEST_F(Flows, AreToldInWordsByPlanAndCommit) {
  const Told plan = ask_plan(target(), shop({81}));
  EXPECT_EQ(plan.exit_code, 1);
  EXPECT_NE(plan.output.find("it would be revision 2"), std::string::npos) << plan.output;
  EXPECT_NE(plan.output.find("it would deny 2 of those tracked"), std::string::npos) << plan.output;
  EXPECT_NE(plan.output.find("10.0.0.1:40000"), std::string::npos) << plan.output;
  const char* const pair = "2      Pod shop/web  Pod shop/db  TCP 80  shop/db ingress isolation";
  EXPECT_NE(plan.output.find(pair), std::string::npos) << plan.output;
  const Told done = ask_commit(target(), shop({81}), {});
  EXPECT_NE(done.output.find("it denied 2 of those tracked; 2 ended"), std::string::npos)
      << done.output;
  EXPECT_NE(done.output.find(pair), std::string::npos) << done.output;
  EXPECT_EQ(ask_plan(target(true), shop({81})).exit_code, 0);
  EXPECT_EQ(ask_plan(target(), shop({70'000})).exit_code, 2);
}

TEST_F(Flows, AreToldByWorkloads) {
  const json plan = *call("plan", to_params(shop({81})));
  EXPECT_EQ(plan["flows"]["pairs_total"], 1);
  ASSERT_EQ(plan["flows"]["pairs"].size(), 1U);
  const json& pair = plan["flows"]["pairs"][0];
  EXPECT_EQ(pair["source"], "shop/web");
  EXPECT_EQ(pair["source_kind"], "Pod");
  EXPECT_EQ(pair["destination"], "shop/db");
  EXPECT_EQ(pair["protocol"], "TCP");
  EXPECT_EQ(pair["port"], 80);
  EXPECT_EQ(pair["flows"], 2);
  EXPECT_EQ(pair["at_least"], 2);
  EXPECT_EQ(pair["denied_by"]["policy"], "shop/db");
  EXPECT_EQ(pair["denied_by"]["direction"], "ingress");
  EXPECT_EQ(pair["denied_by"]["rule"], 0) << "isolated, and nothing matched";
  EXPECT_EQ((*call("commit", to_params(shop({81}))))["flows"]["pairs"][0], pair);
}

TEST_F(Flows, AreUnknownToAPlanWhereAWorkerDoesNotAnswer) {
  publisher_.broken = true;
  const json plan = *call("plan", to_params(shop({81})));
  EXPECT_TRUE(plan["flows"]["denied"].is_null());
  EXPECT_TRUE(plan["flows"]["examples"].empty());
  EXPECT_TRUE(plan["flows"]["pairs"].empty());
}

TEST_F(Flows, AreChosenByTheirEnds) {
  EXPECT_EQ(listed(json::object()), 4U);
  EXPECT_EQ(listed({{"from", "shop/web"}}), 2U);
  EXPECT_EQ(listed({{"to", "shop/web"}}), 1U);
  EXPECT_EQ(listed({{"address", "shop/web"}}), 3U);
  EXPECT_EQ(listed({{"from", "10.0.0.1"}, {"to", "10.0.0.0/30"}}), 2U);
  EXPECT_EQ(listed({{"address", "fd00::/16"}}), 1U);
  EXPECT_EQ(listed({{"from", "10.9.0.0/16"}}), 0U);
  EXPECT_EQ(listed({{"state", "established"}}), 0U);
  EXPECT_EQ(listed({{"protocol", "TCP"}, {"port", 80}, {"state", "opening"}}), 2U);
}

TEST_F(Flows, AreListedUpToALimitAndCountedBeyondIt) {
  const json few = *call("conntrack.list", {{"limit", 2}});
  EXPECT_EQ(few["flows"].size(), 2U);
  EXPECT_EQ(few["matched"], 4);
}

TEST_F(Flows, AreRefusedWithTheNameOfTheWrongParameter) {
  expect_refused("conntrack.list", {{"form", "shop/web"}}, "no parameter \"form\"");
  expect_refused("conntrack.list", {{"all", true}}, "no parameter \"all\"");
  expect_refused("conntrack.list", {{"from", 1}}, "from is missing or not a string");
  expect_refused("conntrack.list", {{"from", "shop/no"}}, "from: there is no pod shop/no");
  expect_refused("conntrack.list", {{"to", ""}}, "to: ");
  expect_refused("conntrack.list", {{"to", "10.0.0.0/33"}}, "to: '10.0.0.0/33' must be");
  expect_refused("conntrack.list", {{"address", "web"}}, "address: ");
  expect_refused("conntrack.list", {{"protocol", "XYZ"}}, "protocol: ");
  expect_refused("conntrack.list", {{"protocol", 6}}, "protocol is missing or not a string");
  expect_refused("conntrack.list", {{"port", 0}}, "port is not a number from 1 to 65535");
  expect_refused("conntrack.list", {{"port", 65'536}}, "port is not");
  expect_refused("conntrack.list", {{"port", "80"}}, "port is not");
  expect_refused("conntrack.list", {{"protocol", "ICMP"}, {"port", 7}}, "port: ICMP has no ports");
  expect_refused("conntrack.list", {{"state", "none"}}, "state: \"none\" is no state");
  expect_refused("conntrack.list", {{"limit", 0}}, "limit is not a number from 1 to 10000");
  expect_refused("conntrack.list", {{"limit", 10'001}}, "limit is not");
  expect_refused("conntrack.flush", {{"limit", 1}}, "no parameter \"limit\"");
  expect_refused("conntrack.stats", {{"port", 80}}, "no parameter \"port\"");
}

TEST_F(Flows, AreAllEndedOnlyWhenThatIsSaid) {
  expect_refused("conntrack.flush", json::object(), "all: without a filter");
  expect_refused("conntrack.flush", {{"all", false}}, "all: without a filter");
  expect_refused("conntrack.flush", {{"all", "yes"}}, "all is neither true nor false");
  expect_refused("conntrack.flush", {{"all", true}, {"port", 80}}, "contradict");
  EXPECT_EQ(listed(json::object()), 4U);
  EXPECT_EQ((*call("conntrack.flush", {{"from", "shop/web"}}))["ended"], 2);
  EXPECT_EQ(listed(json::object()), 2U);
  EXPECT_EQ((*call("conntrack.flush", {{"all", true}}))["ended"], 2);
  EXPECT_EQ(listed(json::object()), 0U);
}

TEST_F(Flows, AreCountedByProtocolAndState) {
  const json stats = *call("conntrack.stats");
  ASSERT_EQ(stats["workers"].size(), 1U);
  EXPECT_EQ(stats["workers"][0]["cpu"], 1);
  EXPECT_EQ(stats["workers"][0]["protocols"]["TCP"]["opening"], 3);
  EXPECT_EQ(stats["total"]["protocols"]["ICMP"]["opening"], 1);
  EXPECT_EQ(stats["total"]["protocols"]["UDP"]["established"], 0);
  EXPECT_EQ(stats["total"]["flows"], 3);
  EXPECT_EQ(stats["total"]["flows_max"], 65'536);
  EXPECT_EQ(stats["total"]["created"], 9);
  for (const char* name : {"expired", "evicted", "revalidated", "revoked"}) {
    EXPECT_EQ(stats["total"][name], 0) << name;
  }
}

TEST_F(Flows, AreNotToldWhereAWorkerDoesNotAnswer) {
  publisher_.broken = true;
  const Answer answer = call("conntrack.list");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, RpcCode::not_answered);
  EXPECT_EQ(answer.error().message, "worker 0 does not answer");
}

TEST_F(Flows, AreShownToAPerson) {
  const Told list = ask_flow_list(target(), {}, 3);
  EXPECT_EQ(list.exit_code, 0) << list.trouble;
  for (const char* words : {"10.0.0.1:40000 -> 10.0.0.2:80",
                            "shop/db ingress rule 1 (policy.yaml:",
                            "opening",
                            "30s",
                            "built in: default_allow",
                            "10.0.0.2 -> 10.0.0.1 id 77",
                            "3 of 4 flows shown"}) {
    EXPECT_NE(list.output.find(words), std::string::npos) << words << "\n" << list.output;
  }
  const Told v6 = ask_flow_list(target(), {.address = "fd00::1"}, 10);
  EXPECT_NE(v6.output.find("[fd00::1]:40000 -> [fd00::2]:443"), std::string::npos) << v6.output;
  EXPECT_EQ(v6.output.find("shown"), std::string::npos) << v6.output;
  EXPECT_EQ(ask_flow_list(target(), {.port = 9}, 10).output, "no flow matches\n");
  const Told stats = ask_flow_stats(target());
  EXPECT_NE(stats.output.find("3 of 65536"), std::string::npos) << stats.output;
  EXPECT_NE(stats.output.find("TCP       3"), std::string::npos) << stats.output;
  EXPECT_EQ(ask_flow_flush(target(), {}, false).exit_code, 2);
  EXPECT_EQ(ask_flow_flush(target(), {.protocol = "ICMP"}, false).output, "1 flow ended\n");
  EXPECT_EQ(json::parse(ask_flow_flush(target(true), {}, true).output)["ended"], 3);
}

}  // namespace
}  // namespace portcullis::control
