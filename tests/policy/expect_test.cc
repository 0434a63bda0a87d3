// SPDX-License-Identifier: MIT
// Probe files of both formats, and what their ends stand for.
#include "policy/expect.h"

#include <gtest/gtest.h>

#include "policy/locate.h"
#include "tests/support/cluster.h"

namespace portcullis::policy {
namespace {

using namespace test;
using classifier::kProtocolIcmp;
using classifier::kProtocolIcmpv6;
using classifier::kProtocolSctp;
using classifier::kProtocolTcp;
using classifier::kProtocolUdp;

Expectations tsv(std::string text) {
  return parse_expectations({"p.tsv", std::move(text)});
}

/// "line: field: message" of each diagnostic.
std::vector<std::string> texts(const Expectations& expectations) {
  std::vector<std::string> out;
  for (const Diagnostic& diagnostic : expectations.diagnostics) {
    out.push_back(std::to_string(diagnostic.where.line) + ": " + diagnostic.field + ": " +
                  diagnostic.message);
  }
  return out;
}

TEST(Expect, ReadsALineAProbe) {
  const Expectations got =
      tsv("# src\tdst\n"
          "\n"
          "shop/web\tshop/db\tTCP\t5432\tallow\n"
          "  # indented comment\n"
          "1.2.3.4\tshop/db\tUDP\t-\tdeny # why\r\n"
          "fd00::1\tshop/db\tSCTP\t65535\tdeny\n"
          "shop/web\tshop/db\tICMP\t-\tallow\n"
          "shop/web\tshop/db\tICMP\t0\tallow");
  EXPECT_EQ(texts(got), std::vector<std::string>{});
  ASSERT_EQ(got.probes.size(), 5U);
  EXPECT_EQ(got.probes[0].src, "shop/web");
  EXPECT_EQ(got.probes[0].dst, "shop/db");
  EXPECT_EQ(got.probes[0].protocol, kProtocolTcp);
  EXPECT_EQ(got.probes[0].port, 5432);
  EXPECT_TRUE(got.probes[0].allow);
  EXPECT_EQ(got.probes[0].where.line, 3U);
  EXPECT_EQ(got.probes[1].port, std::nullopt);
  EXPECT_FALSE(got.probes[1].allow);
  EXPECT_EQ(got.probes[2].protocol, kProtocolSctp);
  EXPECT_EQ(got.probes[3].port, std::nullopt);
  EXPECT_EQ(got.probes[4].port, std::nullopt);
  EXPECT_EQ(to_string(got.probes[0]), "shop/web -> shop/db TCP 5432");
  EXPECT_EQ(to_string(got.probes[3]), "shop/web -> shop/db ICMP");
}

TEST(Expect, ReportsEveryMalformedLineAndFieldAtOnce) {
  const Expectations got =
      tsv("shop/web shop/db TCP 80 allow\n"
          "a/b\tc/d\ttcp\t65536\tyes\n"
          "a/b\tc/d\tTCP\t80\tallow\textra\n"
          "a/b\t\tTCP\t-1\tallow\n"
          "a/b\tc/d\tICMP\t80\tallow\n"
          "a/b\tc/d\tTCP\t80\tallow\n");
  EXPECT_EQ(got.probes.size(), 1U);
  const auto all = texts(got);
  ASSERT_EQ(all.size(), 8U);
  EXPECT_EQ(all[0].rfind("1: : \"shop/web shop/db TCP 80 allow\" has 1 field;", 0), 0U) << all[0];
  EXPECT_EQ(all[1], "2: proto: \"tcp\" is no protocol; write TCP, UDP, SCTP or ICMP");
  EXPECT_EQ(all[2].rfind("2: port: \"65536\" is no port", 0), 0U) << all[2];
  EXPECT_EQ(all[3], "2: expected: \"yes\" is no verdict; write allow or deny");
  EXPECT_EQ(all[4].rfind("3: : ", 0), 0U);
  EXPECT_EQ(all[5], "4: dst: is empty; write namespace/pod or an IP address");
  EXPECT_EQ(all[6].rfind("4: port: \"-1\"", 0), 0U);
  EXPECT_EQ(all[7], "5: port: ICMP has no ports; write - instead of 80");
}

TEST(Expect, ShowsBinaryShortAndPrintable) {
  const Expectations got = tsv(std::string("\0\x01\x1b[31m", 7) + std::string(500, 'x'));
  ASSERT_EQ(got.diagnostics.size(), 1U);
  EXPECT_EQ(got.diagnostics[0].message.rfind("\"\\x00\\x01\\x1b[31mx", 0), 0U);
  EXPECT_LT(got.diagnostics[0].message.size(), 250U);
}

TEST(Expect, StopsCountingErrorsSomewhere) {
  std::string text;
  for (int i = 0; i < 5'000; ++i) {
    text += "nonsense\n";
  }
  EXPECT_EQ(tsv(text).diagnostics.size(), 1'000U);
}

constexpr const char* kYaml = R"(# probes
- name: web reaches its database
  src: shop/web
  dst: shop/db
  proto: TCP
  port: 5432
  expected: allow
- {src: 1.2.3.4, dst: shop/db, proto: ICMP, port: "-", expected: deny}
- {src: "fd00::1", dst: shop/db, proto: UDP, port: "53", expected: deny}
)";

TEST(Expect, ReadsAYamlListByNameOrByLook) {
  for (const char* name : {"p.yaml", "p.yml", "p.json", "probes", "-"}) {
    const Expectations got = parse_expectations({name, kYaml});
    EXPECT_EQ(texts(got), std::vector<std::string>{}) << name;
    ASSERT_EQ(got.probes.size(), 3U) << name;
    EXPECT_EQ(to_string(got.probes[0]), "web reaches its database: shop/web -> shop/db TCP 5432");
    EXPECT_EQ(got.probes[0].where.line, 2U);
    EXPECT_EQ(got.probes[1].protocol, kProtocolIcmp);
    EXPECT_EQ(got.probes[2].port, 53);
  }
}

TEST(Expect, ReadsJsonToo) {
  const Expectations got = parse_expectations(
      {"x", R"([{"src":"a/b","dst":"c/d","proto":"TCP","port":80,"expected":"allow"}])"});
  EXPECT_EQ(texts(got), std::vector<std::string>{});
  EXPECT_EQ(got.probes.size(), 1U);
}

TEST(Expect, ReportsEveryWrongYamlItem) {
  const Expectations got = parse_expectations({"p.yaml",
                                               "- {src: a/b, dst: c/d, proto: TCP, port: 80}\n"
                                               "- just text\n"
                                               "- {src: a/b, dst: c/d, protocol: TCP, port: [1], "
                                               "expected: allow}\n"
                                               "- {src: a/b, dst: c/d, proto: TCP, port: 1.5, "
                                               "expected: perhaps}\n"});
  EXPECT_TRUE(got.probes.empty());
  const auto all = texts(got);
  ASSERT_EQ(all.size(), 7U);
  EXPECT_EQ(all[0], "1: expected: is missing");
  EXPECT_EQ(all[1].rfind("2: : is no probe", 0), 0U) << all[1];
  EXPECT_EQ(all[2].rfind("3: : \"protocol\" is no field of a probe", 0), 0U) << all[2];
  EXPECT_EQ(all[3], "3: port: must be a plain value");
  EXPECT_EQ(all[4], "3: proto: is missing");
  EXPECT_EQ(all[5].rfind("4: port: \"1.5\" is no port", 0), 0U) << all[5];
  EXPECT_EQ(all[6], "4: expected: \"perhaps\" is no verdict; write allow or deny");
}

TEST(Expect, SaysWhatIsNoYamlListAtAll) {
  EXPECT_EQ(parse_expectations({"p.yaml", "a: b\n"}).diagnostics.size(), 1U);
  EXPECT_EQ(parse_expectations({"p.yaml", "- [\n"}).diagnostics.size(), 1U);
  EXPECT_TRUE(parse_expectations({"p.yaml", ""}).diagnostics.empty());
}

/// shop/web has both families, shop/old only IPv4, shop/new only IPv6.
Snapshot shop() {
  Snapshot snapshot;
  snapshot.pods = {pod("shop", "ended", {"10.0.0.1"}),
                   pod("shop", "new", {"fd00::3"}),
                   pod("shop", "old", {"10.0.0.2"}),
                   pod("shop", "waiting", {}),
                   pod("shop", "web", {"10.0.0.1", "fd00::1"})};
  snapshot.pods[0].terminated = true;
  return snapshot;
}

std::string ends(std::string_view src, std::string_view dst) {
  const Snapshot snapshot = shop();
  const auto located = Locator(snapshot).locate({src, dst, kProtocolTcp, 80});
  return located ? to_string(located->flow.src) + " " + to_string(located->flow.dst)
                 : located.error().message;
}

TEST(Locate, TakesThePrimaryAddressOrTheOtherEndsFamily) {
  EXPECT_EQ(ends("shop/web", "shop/old"), "10.0.0.1 10.0.0.2");
  EXPECT_EQ(ends("shop/web", "shop/new"), "fd00::1 fd00::3");
  EXPECT_EQ(ends("shop/new", "shop/web"), "fd00::3 fd00::1");
  EXPECT_EQ(ends("shop/web", "2001:db8::1"), "fd00::1 2001:db8::1");
  EXPECT_EQ(ends("8.8.8.8", "shop/web"), "8.8.8.8 10.0.0.1");
  EXPECT_EQ(ends("shop/web", "shop/web"), "10.0.0.1 10.0.0.1");
}

TEST(Locate, RefusesWhatNamesNoFlow) {
  EXPECT_EQ(ends("shop/old", "shop/new"), "shop/old and shop/new have no address family in common");
  EXPECT_EQ(ends("1.2.3.4", "::1"), "1.2.3.4 and ::1 have no address family in common");
  EXPECT_EQ(ends("shop/wab", "shop/old"), "there is no pod shop/wab");
  EXPECT_EQ(ends("ship/web", "shop/old"), "there is no pod ship/web; did you mean shop/web?");
  EXPECT_EQ(ends("web", "shop/old"), "\"web\" is neither an IP address nor namespace/pod");
  EXPECT_EQ(ends("shop/waiting", "shop/old"),
            "pod shop/waiting (pods.yaml:1:1) has no address (status.podIP)");
}

TEST(Locate, WarnsThatAnEndedPodsAddressIsAnothersNow) {
  const Snapshot snapshot = shop();
  const auto located = Locator(snapshot).locate({"shop/ended", "shop/old", kProtocolTcp, 80});
  ASSERT_TRUE(located.has_value());
  EXPECT_EQ(located->flow.src, ip("10.0.0.1"));
  ASSERT_EQ(located->warnings.size(), 1U);
  EXPECT_EQ(located->warnings[0].rfind("pod shop/ended (pods.yaml:1:1) has ended;", 0), 0U);
}

TEST(Locate, MakesIcmpFitTheFamily) {
  const Snapshot snapshot = shop();
  const Locator locator(snapshot);
  EXPECT_EQ(locator.locate({"shop/web", "shop/old", kProtocolIcmp, 0})->flow.protocol,
            kProtocolIcmp);
  EXPECT_EQ(locator.locate({"shop/web", "shop/new", kProtocolIcmp, 0})->flow.protocol,
            kProtocolIcmpv6);
  EXPECT_EQ(locator.locate({"shop/web", "shop/new", kProtocolUdp, 9})->flow.protocol, kProtocolUdp);
}

}  // namespace
}  // namespace portcullis::policy
