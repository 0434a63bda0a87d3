// SPDX-License-Identifier: MIT
// Quotas of namespaces in the control plane: whose flows those of an address are, after each kind
// of change; and what is told of them.
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "control/conntrack/quota_use.h"
#include "control/quota/namespace_quotas.h"
#include "dataplane/quota/namespace_map.h"
#include "tests/control/edit_words.h"
#include "tests/control/live_commands.h"
#include "tests/support/tuple.h"

namespace portcullis::control {
namespace {

using nlohmann::json;

constexpr const char* kNobody = "nobody";

std::string pod_of(const std::string& name_space,
                   const std::string& name,
                   const std::string& address,
                   const std::string& more = "") {
  return fmt::format(
      "apiVersion: v1\nkind: Pod\nmetadata: {{name: {}, namespace: {}, labels: {{app: web}}}}\n"
      "spec: {{nodeName: n1{}}}\nstatus: {{phase: {}, podIP: {}}}\n",
      name,
      name_space,
      more == "host" ? ", hostNetwork: true" : "",
      more == "ended" ? "Succeeded" : "Running",
      address);
}

/// Namespaces shop, with a quota of its own, bank, and free, which has none; web and db are shop's.
std::vector<policy::Manifest> cluster(const std::vector<std::string>& more = {}) {
  std::string text = two_pods();
  for (const char* name : {"bank", "free"}) {
    text += fmt::format("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {}}}\n", name);
  }
  for (const std::string& one : more) {
    text += "---\n" + one;
  }
  return {{"cluster.yaml", text}};
}

config::Conntrack quotas() {
  return {.flows_max = 64, .namespace_flows_max = 5, .namespace_flows = {{"shop", 2}, {"free", 0}}};
}

ReconcileOptions with_quotas() {
  ReconcileOptions options = open_by_default();
  options.quotas = NamespaceQuotas::of(quotas());
  return options;
}

TEST(NamespaceQuotas, GiveEachNamespaceANumberForGood) {
  NamespaceQuotas known(quotas());
  EXPECT_EQ(known.quota_of("shop"), (dataplane::NamespaceQuota{1, 2}));
  EXPECT_EQ(known.quota_of("bank"), (dataplane::NamespaceQuota{2, 5}));
  EXPECT_EQ(known.quota_of("shop"), (dataplane::NamespaceQuota{1, 2}));
  EXPECT_EQ(known.quota_of("free"), dataplane::NamespaceQuota{});
  EXPECT_EQ(known.name_of(1), "shop");
  EXPECT_EQ(known.name_of(2), "bank");
}

TEST(NamespaceQuotas, EndWithTheNumbers) {
  NamespaceQuotas known(quotas());
  for (int i = 1; i <= 65'535; ++i) {
    ASSERT_EQ(known.quota_of(fmt::format("n{}", i)).name_space, i);
  }
  EXPECT_EQ(known.quota_of("one-more"), dataplane::NamespaceQuota{});
  EXPECT_EQ(known.quota_of("another"), dataplane::NamespaceQuota{});
  EXPECT_EQ(known.quota_of("n7"), (dataplane::NamespaceQuota{7, 5}));
}

TEST(NamespaceQuotas, AreNoneWhereNoneIsConfigured) {
  EXPECT_EQ(NamespaceQuotas::of({}), nullptr);
  EXPECT_EQ(NamespaceQuotas::of({.namespace_flows = {{"shop", 0}}}), nullptr);
  FakePublisher publisher;
  Reconcile reconcile(open_by_default(), publisher);
  Prepared prepared = reconcile.prepare(cluster());
  ASSERT_TRUE(prepared && reconcile.apply(*std::move(prepared), {}));
  EXPECT_EQ(publisher.namespaces, nullptr);
}

class Quotas : public testing::Test, public LivePlane {
 protected:
  Quotas() : LivePlane(with_quotas()) { PORTCULLIS_CHECK(commit(cluster())); }

  Answer commit(const std::vector<policy::Manifest>& list, json params = json::object()) {
    params["manifests"] = json::array();
    for (const policy::Manifest& one : list) {
      params["manifests"].push_back({{"name", one.name}, {"text", one.text}});
    }
    return call("commit", params);
  }
  Answer edit(std::initializer_list<json> list) { return call("edit", steps(list)); }
  static json set_pod(const std::string& text) { return writing("pod.set", text); }

  /// What runs. Published by the loop, so asked for there: an undone trial may be on its way.
  [[nodiscard]] std::shared_ptr<const dataplane::NamespaceMap> map() {
    std::shared_ptr<const dataplane::NamespaceMap> running;
    server_.run([&] { running = publisher_.namespaces; });
    return running;
  }
  /// The namespace that pays for the address' flows; "": one without a quota.
  [[nodiscard]] std::string payer(const char* text) {
    const IpAddress address = parse_ip(text).value();
    const auto owner = map()->find(address.family, address.bytes);
    if (!owner) {
      return kNobody;
    }
    return owner->name_space == 0 ? "" : reconcile_.options().quotas->name_of(owner->name_space);
  }
};

TEST_F(Quotas, FollowWholeCommitsAndRollbacks) {
  EXPECT_EQ(payer("10.0.0.1"), "shop");
  EXPECT_EQ(payer("10.0.0.9"), kNobody);
  ASSERT_TRUE(commit(cluster({pod_of("bank", "till", "10.0.0.9"),
                              pod_of("free", "bird", "fd00::9"),
                              pod_of("bank", "agent", "10.9.9.9", "host"),
                              pod_of("bank", "job", "10.0.0.8", "ended")})));
  EXPECT_EQ(payer("10.0.0.9"), "bank");
  EXPECT_EQ(payer("fd00::9"), "");
  EXPECT_EQ(payer("10.9.9.9"), kNobody) << "a hostNetwork pod has its node's address";
  EXPECT_EQ(payer("10.0.0.8"), kNobody) << "an ended pod has none";
  ASSERT_TRUE(call("rollback"));
  EXPECT_EQ(payer("10.0.0.9"), kNobody);
  EXPECT_EQ(payer("10.0.0.1"), "shop");
}

TEST_F(Quotas, FollowATrialThatIsUndone) {
  ASSERT_TRUE(commit(cluster({pod_of("bank", "till", "10.0.0.9")}), {{"confirm_s", 600}}));
  EXPECT_EQ(payer("10.0.0.9"), "bank");
  server_.run([&] { changes_->tick(Trial::Clock::now() + std::chrono::seconds(1000)); });
  for (int i = 0; i < 200 && payer("10.0.0.9") != kNobody; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ASSERT_TRUE(call("history"));  // The change is another thread's: wait for it.
  }
  EXPECT_EQ(payer("10.0.0.9"), kNobody);
}

TEST_F(Quotas, FollowAPodFromNamespaceToNamespace) {
  ASSERT_TRUE(edit({set_pod(pod_of("shop", "new", "10.0.0.9"))}));
  EXPECT_EQ(payer("10.0.0.9"), "shop");
  ASSERT_TRUE(
      edit({removing("pod.remove", "shop/new"), set_pod(pod_of("bank", "till", "10.0.0.9"))}));
  EXPECT_EQ(payer("10.0.0.9"), "bank");
  const auto before = map();
  ASSERT_TRUE(
      edit({removing("pod.remove", "bank/till"), set_pod(pod_of("shop", "new", "10.0.0.9"))}));
  EXPECT_EQ(payer("10.0.0.9"), "shop");
  ASSERT_TRUE(
      edit({removing("pod.remove", "shop/new"), set_pod(pod_of("bank", "till", "10.0.0.10"))}));
  EXPECT_EQ(map(), before) << "by single stores into the one that runs";
  EXPECT_EQ(payer("10.0.0.9"), kNobody);
  EXPECT_EQ(payer("10.0.0.10"), "bank");
  ASSERT_TRUE(edit({set_pod(pod_of("bank", "till", "10.0.0.10", "ended"))}));
  EXPECT_EQ(payer("10.0.0.10"), kNobody);
  ASSERT_TRUE(edit({set_pod(pod_of("free", "bird", "10.0.0.10"))}));
  EXPECT_EQ(payer("10.0.0.10"), "");
  EXPECT_EQ(payer("10.0.0.1"), "shop");

  ASSERT_TRUE(call("rollback"));
  EXPECT_EQ(payer("10.0.0.10"), kNobody);
  EXPECT_EQ(payer("10.0.0.1"), "shop");
}

TEST_F(Quotas, StayWhereAnEditFails) {
  ASSERT_TRUE(edit({set_pod(pod_of("shop", "new", "10.0.0.9"))}));
  server_.run([&] { publisher_.broken = true; });
  EXPECT_FALSE(edit({set_pod(pod_of("shop", "new", "10.0.0.10"))}));
  EXPECT_EQ(payer("10.0.0.9"), "shop");
  EXPECT_EQ(payer("10.0.0.10"), kNobody);
  server_.run([&] { publisher_.broken = false; });
  EXPECT_FALSE(edit({set_pod(pod_of("bank", "thief", "10.0.0.9"))})) << "it has an owner";
  EXPECT_EQ(payer("10.0.0.9"), "shop");
  ASSERT_TRUE(edit({set_pod(pod_of("bank", "till", "10.0.0.10"))}));
  EXPECT_EQ(payer("10.0.0.10"), "bank");
}

TEST_F(Quotas, GoOnWhereTheMapHasNoMoreRoom) {
  ASSERT_TRUE(edit({set_pod(pod_of("shop", "p0", "10.1.0.0"))}));
  const auto first = map();
  for (int i = 1; i < 100; ++i) {
    ASSERT_TRUE(edit({set_pod(pod_of(
        i % 2 == 0 ? "shop" : "bank", fmt::format("p{}", i), fmt::format("10.1.0.{}", i)))}));
  }
  EXPECT_NE(map(), first);
  for (int i = 1; i < 100; ++i) {
    ASSERT_EQ(payer(fmt::format("10.1.0.{}", i).c_str()), i % 2 == 0 ? "shop" : "bank");
  }
  EXPECT_EQ(payer("10.0.0.1"), "shop");
}

TEST_F(Quotas, AreToldByStats) {
  EXPECT_EQ((*call("conntrack.stats"))["namespaces"], json::array());
  ASSERT_TRUE(edit({set_pod(pod_of("bank", "till", "10.0.0.9"))}));
  auto table = std::make_unique<dataplane::Conntrack>(quotas(), 7);
  for (std::uint16_t port = 1; port <= 3; ++port) {
    for (const char* from : {"10.0.0.1", "10.0.0.9", "192.0.2.1"}) {
      const dataplane::FlowTuple flow = test::tuple(from, port, "192.0.2.80", 80);
      table->insert({.tuple = flow,
                     .event = dataplane::Packet::Event::data,
                     .verdict = {},
                     .epoch = 1,
                     .quota = map()->payer_of(flow)},
                    table->hash(flow),
                    FakePublisher::kNowNs);
    }
  }
  server_.run([&] { publisher_.flow_table = std::move(table); });
  const json stats = *call("conntrack.stats");
  EXPECT_EQ(stats["namespaces_total"], 2);
  EXPECT_EQ(stats["namespaces"],
            json({{{"namespace", "shop"},
                   {"flows", 2},
                   {"flows_max", 2},
                   {"refused", 1},
                   {"fullest", 1.0}},
                  {{"namespace", "bank"},
                   {"flows", 3},
                   {"flows_max", 5},
                   {"refused", 0},
                   {"fullest", 0.6}}}));
  const Told told = ask_flow_stats(target());
  EXPECT_NE(told.output.find("NAMESPACE  FLOWS   FULLEST  REFUSED"), std::string::npos)
      << told.output;
  EXPECT_NE(told.output.find("shop       2 of 2  100.0%   1"), std::string::npos) << told.output;
}

TEST(QuotaUse, IsToldOfTheFullestNamespaces) {
  NamespaceQuotas known({.namespace_flows_max = 1000});
  std::vector<dataplane::FlowAnswer> answers(2);
  for (std::uint16_t number = 1; number <= 60; ++number) {
    known.quota_of(fmt::format("n{}", number));
    answers[0].namespaces.push_back(
        {.name_space = number, .flows = number, .flows_max = 1000, .refused = 1});
    answers[1].namespaces.push_back({.name_space = number, .flows = 1, .flows_max = 1000});
  }
  json result;
  add_quota_use(answers, &known, result);
  EXPECT_EQ(result["namespaces_total"], 60);
  ASSERT_EQ(result["namespaces"].size(), 50U);
  EXPECT_EQ(result["namespaces"][0],
            json({{"namespace", "n60"},
                  {"flows", 61},
                  {"flows_max", 2000},
                  {"refused", 1},
                  {"fullest", 0.06}}));
}

}  // namespace
}  // namespace portcullis::control
