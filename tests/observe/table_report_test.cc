// SPDX-License-Identifier: MIT
#include "observe/table_report.h"

#include <numeric>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "classifier/compile.h"
#include "tests/classifier/cluster.h"

namespace portcullis::observe {
namespace {

using namespace classifier;

/// Two pods of a service that a third may reach, and a fourth that nobody mentions; mode deny.
std::unique_ptr<const Table> small_table() {
  Cluster cluster;
  cluster.rules.pod_cidrs = {block("10.0.0.0/24")};
  const auto web = cluster.set({cluster.pod({ip("10.0.0.1")}), cluster.pod({ip("10.0.0.2")})});
  const auto client = cluster.set({cluster.pod({ip("10.0.0.3")})});
  cluster.pod({ip("10.0.0.9")});
  const auto http = cluster.ports({tcp_port(80)});
  cluster.allow_ingress(web, client, http);
  cluster.allow_ingress(client, web, http).direction = Direction::egress;
  return std::move(compile(cluster.rules).value());
}

TEST(TableReport, SaysWhatTheTableHolds) {
  const auto table = small_table();
  const TableReport report = report_of(*table);
  EXPECT_EQ(report.digest, table->digest());
  EXPECT_EQ(report.bytes, table->bytes().size());
  const auto sum =
      std::accumulate(report.parts.begin(),
                      report.parts.end(),
                      std::size_t{0},
                      [](std::size_t so_far, const auto& part) { return so_far + part.bytes; });
  EXPECT_LE(sum, report.bytes);
  EXPECT_GT(sum,
            report.bytes - report.parts.size() * 64 - 1024);  // The rest is header and padding.
  EXPECT_EQ(report.classes, 5U);  // Web, client, the fourth pod, unknown inside the CIDR, outside.
  EXPECT_EQ(report.window, "10.0.0.1 to 10.0.0.9");
  EXPECT_EQ(report.parts.front().records, 9U);
  EXPECT_EQ(report.permit_cells, 1U);  // Client to web.
  EXPECT_EQ(report.classes_by_opening, (std::array<std::size_t, 4>{4, 0, 0, 1}));
  EXPECT_EQ(report.egress.tiles_placed, 2U);  // The client's, and outside to outside.
}

TEST(TableReport, IsReadByPeopleAndPrograms) {
  const TableReport report = report_of(*small_table());
  const std::string text = to_text(report);
  EXPECT_NE(text.find("permits  1 cells of"), std::string::npos) << text;
  EXPECT_NE(text.find("\npermit_cells "), std::string::npos) << text;
  const auto json = nlohmann::json::parse(to_json(report));
  EXPECT_EQ(json["classes"], 5);
  EXPECT_EQ(json["parts"].size(), kPartCount);
  EXPECT_EQ(json["classes_by_opening"]["closed"], 4);
}

TEST(TableReport, TellsWhereStaticRulesGo) {
  Cluster cluster;
  cluster.rules.static_rules = {{.src = block("192.0.2.0/24"), .action = Action::allow},
                                {.protocol = kProtocolUdp, .dst_ports = {53, 53}}};
  const auto table = compile(cluster.rules);
  ASSERT_TRUE(table) << to_string(table.error());
  const TableReport report = report_of(**table);
  ASSERT_TRUE(report.filter);
  EXPECT_EQ(report.filter->products, 1U);
  EXPECT_NE(to_text(report).find("static   1 product with"), std::string::npos) << to_text(report);
  EXPECT_EQ(nlohmann::json::parse(to_json(report))["static_rules"]["tree_entries"], 0);
  EXPECT_TRUE(nlohmann::json::parse(to_json(report_of(*small_table())))["static_rules"].is_null());
}

}  // namespace
}  // namespace portcullis::observe
