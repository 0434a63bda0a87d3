// SPDX-License-Identifier: MIT
#include "config/load.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.h"

namespace portcullis::config {
namespace {

/// The least that is a whole configuration; what a test adds begins at line 7.
constexpr const char* kPorts =
    "[ports.a]\nvdev = \"net_null0\"\n[ports.b]\nvdev = \"net_null1\"\n"
    "[mode]\npairs = [[\"a\", \"b\"]]\n";

std::string all(const Loaded& loaded) {
  std::string out;
  for (const Error& problem : loaded.problems) {
    out += to_string(problem) + "\n";
  }
  return out;
}

/// What parse() says to the six good lines and then `more`.
std::string complaints(const std::string& more) {
  return all(parse(kPorts + more, "x.toml"));
}

std::string source_text(const char* path) {
  const auto text = read_file(std::filesystem::path(std::getenv("SOURCE_ROOT")) / path, 1U << 20U);
  EXPECT_TRUE(text) << to_string(text.error());
  return text.value_or("");
}

TEST(Parse, FillsWhatIsNotWrittenWithDefaults) {
  const Loaded loaded = parse(kPorts, "x.toml");
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  Config expected;
  expected.file = "x.toml";
  expected.ports = {{.name = "a", .vdev = "net_null0"}, {.name = "b", .vdev = "net_null1"}};
  expected.mode.pairs = {{"a", "b"}};
  EXPECT_EQ(loaded.config, expected);
}

TEST(Parse, ReadsEveryKindOfValue) {
  const Loaded loaded = parse(R"(
[eal]
worker_cpus = [3]
idle = "poll"
hugepages = true
[ports.zebra]
vdev = "net_af_packet0,iface=v0"
role = "pod"
addresses = ["10.244.1.7", "fd00::7"]
mtu = 9000
[ports.ape]
vdev = "net_af_packet1,iface=v1"
role = "uplink"
addresses = ["192.0.2.2"]
[mode]
kind = "node"
gateways = ["192.0.2.1"]
uplink_networks = ["192.0.2.0/24"]
[policy]
default_mode = "kubernetes"
manifests = ["a", "b.yaml"]
pod_cidrs = ["10.244.0.0/16"]
reject = "reset"
[conntrack]
established = "keep"
tcp_window = "off"
[observe]
log_level = "debug"
)",
                              "x.toml");
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  const Config& config = loaded.config;
  EXPECT_EQ(config.eal.worker_cpus, (std::vector<std::uint32_t>{3}));
  EXPECT_EQ(config.eal.idle, Eal::Idle::poll);
  EXPECT_TRUE(config.eal.hugepages);
  ASSERT_EQ(config.ports.size(), 2U);
  EXPECT_EQ(config.ports[0].name, "zebra") << "ports keep the order of the file";
  EXPECT_EQ(config.ports[0].role, Port::Role::pod);
  EXPECT_EQ(to_string(config.ports[0].addresses.at(1)), "fd00::7");
  EXPECT_EQ(config.ports[0].mtu, 9000);
  EXPECT_EQ(to_string(config.mode.gateways.at(0)), "192.0.2.1");
  EXPECT_EQ(to_string(config.mode.uplink_networks.at(0)), "192.0.2.0/24");
  EXPECT_EQ(config.policy.default_mode, Policy::Default::kubernetes);
  EXPECT_EQ(config.policy.manifests, (std::vector<std::string>{"a", "b.yaml"}));
  EXPECT_EQ(config.policy.reject, Policy::Reject::reset);
  EXPECT_EQ(config.conntrack.established, Conntrack::Established::keep);
  EXPECT_FALSE(config.conntrack.tcp_loose.has_value()) << "the mode chooses";
  EXPECT_EQ(config.conntrack.tcp_window, TcpWindow::off);
  EXPECT_EQ(config.observe.log_level, "debug");
}

TEST(Parse, ReadsWhetherLinksAreCarriedOver) {
  const Loaded loaded = parse(std::string(kPorts) + "carry_link = false\n", "x.toml");
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  EXPECT_FALSE(loaded.config.mode.carry_link);
}

TEST(Parse, ReadsWhatPassesBesideIp) {
  const Loaded loaded = parse(std::string(kPorts) +
                                  "[non_ip]\n"
                                  "allow = [\"arp\", \"stp\", 0x88cc, 35063, \"0x8809\"]\n",
                              "x.toml");
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  EXPECT_EQ(loaded.config.non_ip.allow,
            (std::vector<NumberRange>{{0x0806, 0x0806},
                                      {kNonIpStp, kNonIpStp},
                                      {0x88cc, 0x88cc},
                                      {0x88f7, 0x88f7},
                                      {0x8809, 0x8809}}));
  EXPECT_TRUE(parse(std::string(kPorts) + "[non_ip]\nallow = []\n", "x.toml").ok());
}

TEST(Parse, SaysWhatMayNotPassBesideIp) {
  const auto said = [](const std::string& items) {
    return complaints("[non_ip]\nallow = [" + items + "]\n");
  };
  EXPECT_EQ(said("\"arp\", \"lldpp\""),
            "x.toml:8:17: non_ip.allow[1]: 'lldpp' is no protocol beside IP (did you mean "
            "\"lldp\"?); write one of arp, lldp, stp, lacp, eapol, mpls, or an EtherType as "
            "0x88f7\n");
  EXPECT_EQ(said("0x0800"),
            "x.toml:8:10: non_ip.allow[0]: 0x0800 is IP, which the policies judge; it cannot be "
            "let through beside them\n");
  EXPECT_EQ(said("\"lldp\", \"arp\", 0x88cc"),
            "x.toml:8:25: non_ip.allow[2]: lldp is named twice\n");
  EXPECT_EQ(said("\"mpls\", 0x8848"), "x.toml:8:18: non_ip.allow[1]: 0x8848 is named twice\n");
  EXPECT_NE(said("-1").find("non_ip.allow[0]: '-1' is no protocol"), std::string::npos);
  EXPECT_NE(said("true").find("non_ip.allow[0]: must be a string"), std::string::npos);
  EXPECT_NE(complaints("[non_ip]\nallow = \"arp\"\n").find("must be an array"), std::string::npos);
}

TEST(Parse, ReadsAMirrorAndSaysWhereItContradictsItself) {
  const std::string port = "[ports.span]\nvdev = \"net_null0\"\nrole = \"mirror\"\n";
  const std::string mirror = "[mode]\nkind = \"mirror\"\n";
  const Loaded loaded =
      parse(port + mirror + "[conntrack]\ntcp_loose = false\ntcp_window = \"strict\"\n", "x.toml");
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  EXPECT_EQ(loaded.config.mode.kind, Mode::Kind::mirror);
  EXPECT_EQ(loaded.config.ports.at(0).role, Port::Role::mirror);
  EXPECT_EQ(loaded.config.conntrack.tcp_loose, false);
  EXPECT_EQ(loaded.config.conntrack.tcp_window, TcpWindow::strict);

  EXPECT_EQ(all(parse(port + mirror + "[policy]\nreject = \"reset\"\n", "x.toml")),
            "x.toml:7:10: policy.reject: must be \"drop\" where mode.kind is \"mirror\", which "
            "answers nobody\n");
  EXPECT_EQ(all(parse(port + mirror + "pairs = [[\"span\", \"span\"]]\n", "x.toml")),
            "x.toml:6:9: mode.pairs: has a meaning only where mode.kind is \"wire\"\n");
  EXPECT_EQ(all(parse("[ports.span]\nvdev = \"net_null0\"\nrole = \"wire\"\n" + mirror, "x.toml")),
            "x.toml:3:8: ports.span.role: must be \"mirror\" where mode.kind is \"mirror\"\n");
}

TEST(Parse, ReadsTunnels) {
  const Loaded loaded = parse(kPorts + std::string(R"(
[tunnels]
kinds = ["vxlan", "geneve", "gre", "ipip"]
vxlan_ports = [4789, 8472]
geneve_ports = [6082]
endpoints = ["192.0.2.0/24", "2001:db8::/64"]
)"),
                              "x.toml");
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  using Kind = TunnelKind;
  const Tunnels expected{
      .kinds = {Kind::vxlan, Kind::geneve, Kind::gre, Kind::ipip},
      .vxlan_ports = {4789, 8472},
      .geneve_ports = {6082},
      .endpoints = {parse_prefix("192.0.2.0/24").value(), parse_prefix("2001:db8::/64").value()}};
  EXPECT_EQ(loaded.config.tunnels, expected);
  EXPECT_EQ(all(parse(kPorts + std::string("[tunnels]\nkinds = [\"vxlna\"]\n"), "x.toml")),
            "x.toml:8:10: tunnels.kinds[0]: must be one of vxlan, geneve, gre, ipip, not "
            "\"vxlna\" (did you mean \"vxlan\"?)\n");
  EXPECT_EQ(all(parse(kPorts + std::string("[tunnels]\nvxlan_ports = [0]\n"), "x.toml")),
            "x.toml:8:16: tunnels.vxlan_ports[0]: must be between 1 and 65535, not 0\n");
}

TEST(Parse, SuggestsTheKeyThatWasMeant) {
  EXPECT_EQ(complaints("[eal]\nworkr_cpus = [1]\n"),
            "x.toml:8:1: eal.workr_cpus: there is no such key (did you mean \"worker_cpus\"?)\n");
  EXPECT_EQ(complaints("[eal]\nhistory_max = 3\n"),
            "x.toml:8:1: eal.history_max: there is no such key (it belongs to [limits])\n");
  EXPECT_EQ(complaints("[contrack]\n"),
            "x.toml:7:2: contrack: there is no such section (did you mean \"conntrack\"?)\n");
  EXPECT_EQ(complaints("[eal]\nzzzzzzzzz = 3\n"),
            "x.toml:8:1: eal.zzzzzzzzz: there is no such key\n");
  EXPECT_EQ(all(parse("mtu = 3\n" + std::string(kPorts), "x.toml")),
            "x.toml:1:1: mtu: there is no such key outside the sections (it belongs to "
            "[ports.NAME])\n");
}

TEST(Parse, NamesTheTypeThatIsWanted) {
  const auto said = [](const std::string& line, const std::string& what) {
    const std::string text = complaints("[eal]\n" + line + "\n");
    EXPECT_NE(text.find("x.toml:8:"), text.npos) << text;
    EXPECT_NE(text.find(what), text.npos) << text;
  };
  said("memory_mb = \"192\"", "eal.memory_mb: must be an integer, not a string");
  said("memory_mb = 1.5", "must be an integer, not a floating-point number");
  said("pci = 1", "eal.pci: must be true or false, not an integer");
  said("file_prefix = true", "must be a string in quotes, not a boolean");
  said("worker_cpus = 1", "must be an array in brackets, not an integer");
  said("worker_cpus = [1, \"2\"]", "eal.worker_cpus[1]: must be an integer, not a string");
  said("idle = [1]", "must be a string in quotes, not an array");
  said("memory_mb = 1979-05-27", "not a date or time");
  EXPECT_EQ(complaints("[[eal]]\n"),
            "x.toml:7:1: eal must be a table, not an array; write [eal]\n");
}

TEST(Parse, RefusesValuesOutOfTheirRange) {
  EXPECT_EQ(complaints("[eal]\nmemory_mb = 0\n"),
            "x.toml:8:13: eal.memory_mb: must be between 32 and 1048576, not 0\n");
  for (const char* line : {"[eal]\nmemory_mb = -1",
                           "[eal]\nmemory_mb = 4294967488",  // 192 in 32 bits.
                           "[eal]\ncontrol_cpu = 1024",
                           "[limits]\nhistory_max = 33",
                           "[limits]\nhistory_max = 0",
                           "[conntrack]\nudp_timeout_s = 0",
                           "[control]\nclients_max = 1025",
                           "[control]\nchanges_max = 0"}) {
    EXPECT_NE(complaints(line).find("must be between"), std::string::npos) << line;
  }
  EXPECT_EQ(complaints("[eal]\nidle = \"slep\"\n"),
            "x.toml:8:8: eal.idle: must be one of poll, sleep, not \"slep\" (did you mean "
            "\"sleep\"?)\n");
}

TEST(Parse, ReadsQuotasOfNamespaces) {
  const std::string table = "[conntrack]\nflows_max = 1000\n[conntrack.namespace_flows]\n";
  const Loaded loaded = parse(std::string(kPorts) +
                                  "[conntrack]\nflows_max = 1000\n"
                                  "namespace_flows_max = 1000\n[conntrack.namespace_flows]\n"
                                  "shop = 0\n\"9-to-5\" = 7\n",
                              "x.toml");
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  EXPECT_EQ(loaded.config.conntrack.namespace_flows_max, 1000U);
  EXPECT_EQ(loaded.config.conntrack.namespace_flows,
            (std::map<std::string, std::uint32_t>{{"9-to-5", 7}, {"shop", 0}}));

  EXPECT_EQ(complaints(table + "shop = 1001\n"),
            "x.toml:10:8: conntrack.namespace_flows.shop: 1001 flows are more than the 1000 of "
            "conntrack.flows_max, which all namespaces share\n");
  EXPECT_EQ(complaints("[conntrack]\nnamespace_flows_max = 65537\n"),
            "x.toml:8:23: conntrack.namespace_flows_max: 65537 flows are more than the 65536 of "
            "conntrack.flows_max, which all namespaces share\n");
  for (const char* name : {"Shop", "-shop", "shop-", "\"my.shop\"", "\"\"", "sh_op"}) {
    const std::string said = complaints(table + name + " = 5\n");
    EXPECT_NE(said.find("is no namespace's name"), std::string::npos) << name << "\n" << said;
    EXPECT_EQ(said.find("x.toml:"), 0U) << said;
  }
  EXPECT_NE(complaints(table + std::string(64, 'a') + " = 5\n").find("is no namespace's name"),
            std::string::npos);
  EXPECT_EQ(complaints(table + "shop = \"many\"\n"),
            "x.toml:10:8: conntrack.namespace_flows.shop: must be an integer, not a string\n");
  EXPECT_NE(complaints(table + "shop = -1\n").find("must be between 0 and 67108864, not -1"),
            std::string::npos);
  EXPECT_EQ(complaints("[conntrack]\nnamespace_flows = 5\n"),
            "x.toml:8:19: conntrack.namespace_flows: must be a table, not an integer\n");
  EXPECT_NE(complaints("[conntrack]\nnamespace_flow = 5\n").find("there is no such key"),
            std::string::npos);
}

TEST(Parse, RefusesBadAddressesAndBlocks) {
  EXPECT_EQ(complaints("[policy]\npod_cidrs = [\"10.1.2.3/8\"]\n"),
            "x.toml:8:14: policy.pod_cidrs[0]: '10.1.2.3/8' is not written as a block is (did you "
            "mean \"10.0.0.0/8\"?)\n");
  EXPECT_NE(complaints("[policy]\npod_cidrs = [\"10.0.0.0\"]\n").find("must be a valid CIDR"),
            std::string::npos);
  EXPECT_NE(complaints("[policy]\npod_cidrs = [7]\n").find("pod_cidrs[0]: must be a string"),
            std::string::npos);
  const std::string bad_address = all(parse("[ports.a]\naddresses = [\"10.0.0.256\"]\n", "x.toml"));
  EXPECT_NE(bad_address.find("x.toml:2:14: ports.a.addresses[0]: '10.0.0.256' is no IP address"),
            std::string::npos)
      << bad_address;
  EXPECT_NE(complaints("pairs = 3").find("x.toml:7"), std::string::npos);
}

TEST(Parse, TellsAllProblemsInTheOrderOfTheFile) {
  const Loaded loaded =
      parse("[limits]\nhistory_max = 99\n[eal]\nmemory = 5\npci = 0\n[ports]\na = 1\n", "x.toml");
  ASSERT_EQ(loaded.problems.size(), 4U) << all(loaded);
  EXPECT_EQ(loaded.problems[0].where, "x.toml:2:15");
  EXPECT_EQ(loaded.problems[1].where, "x.toml:4:1");
  EXPECT_EQ(loaded.problems[2].where, "x.toml:5:7");
  EXPECT_EQ(loaded.problems[3].where, "x.toml:7:5");
}

TEST(Parse, PlacesSyntaxErrors) {
  for (const auto& [text, where] : {std::pair{"[eal\n", "x.toml:1:"},
                                    std::pair{"[eal]\nmbufs = \n", "x.toml:2:"},
                                    std::pair{"[eal]\nmbufs = 1024\nmbufs = 2048\n", "x.toml:3:"},
                                    std::pair{"[ports.a]\n[ports.b]\n[ports.a]\n", "x.toml:3:"},
                                    std::pair{"\xff\xfe", "x.toml:1:"},
                                    std::pair{"a = \"unclosed", "x.toml:1:"}}) {
    const Loaded loaded = parse(text, "x.toml");
    ASSERT_EQ(loaded.problems.size(), 1U) << text;
    EXPECT_TRUE(loaded.problems[0].where.starts_with(where)) << all(loaded);
  }
}

TEST(Parse, PlacesContradictionsAtTheirValue) {
  EXPECT_EQ(all(parse("[ports.a]\nvdev = \"net_null0\"\n[ports.\"b.c\"]\nvdev = \"net_null0\"\n"
                      "[mode]\npairs = [[\"a\", \"b.c\"]]\n",
                      "x.toml")),
            "x.toml:4:8: ports.b.c.vdev: device net_null0 already serves port 'a'\n");
  EXPECT_EQ(complaints("[eal]\nworker_cpus = [1, 2, 1]\n"),
            "x.toml:8:15: eal.worker_cpus: processor 1 is listed twice; a worker needs its own\n");
  EXPECT_EQ(all(parse("", "x.toml")),
            "x.toml: ports: there is no port; add a table [ports.NAME] "
            "for each\n");
}

TEST(Parse, SurvivesEndlessKeysAndNesting) {
  std::string key = "a";
  for (int i = 0; i < 100'000; ++i) {
    key += ".a";
  }
  EXPECT_FALSE(parse(key + " = 1\n", "x.toml").ok());
  EXPECT_FALSE(parse("a = " + std::string(100'000, '['), "x.toml").ok());
  EXPECT_FALSE(parse(std::string(100'000, '['), "x.toml").ok());
}

TEST(Load, SaysWhichFileCannotBeRead) {
  const auto loaded = load("/nonexistent/portcullis.toml");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(to_string(loaded.error()),
            "/nonexistent/portcullis.toml: cannot open: No such file or directory");
}

TEST(Load, GivesALineForEveryProblem) {
  const std::filesystem::path path = testing::TempDir() + "portcullis_load_test.toml";
  std::ofstream(path) << kPorts << "[eal]\npci = 0\nmbufs = 0\n";
  const auto loaded = load(path);
  std::filesystem::remove(path);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(to_string(loaded.error()),
            fmt::format("{0}:8:7: eal.pci: must be true or false, not an integer\n"
                        "{0}:9:9: eal.mbufs: must be between 512 and 16777216, not 0",
                        path.string()));
}

TEST(Example, LoadsAndStatesTheDefaults) {
  const Loaded loaded = parse(source_text("config/example.toml"), "config/example.toml");
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  Config expected;
  expected.file = "config/example.toml";
  expected.ports = {{.name = "inside", .vdev = "net_af_packet0,iface=inside0"},
                    {.name = "outside", .vdev = "net_af_packet1,iface=outside0"}};
  expected.mode.pairs = {{"inside", "outside"}};
  EXPECT_EQ(loaded.config, expected);
}

TEST(Example, OfAMirrorLoads) {
  const Loaded loaded = parse(source_text("config/mirror.toml"), "config/mirror.toml");
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  Config expected;
  expected.file = "config/mirror.toml";
  expected.ports = {
      {.name = "span", .vdev = "net_af_packet0,iface=span0", .role = Port::Role::mirror}};
  expected.mode.kind = Mode::Kind::mirror;
  EXPECT_EQ(loaded.config, expected);
}

/// The word before the first of `ends` in `line`, which must follow blanks; empty if there is none.
std::string last_word(const std::string& line, const char* ends) {
  std::string_view head = std::string_view(line).substr(0, line.find_first_of(ends));
  head = head.substr(0, head.find_last_not_of(' ') + 1);
  return std::string(head.substr(head.find_last_of(" >") + 1));
}

/// "eal.memory_mb" and so on, of lines like "memory_mb = 192" and "# pci = ...".
std::vector<std::string> keys_shown(const std::string& toml) {
  std::istringstream lines(toml);
  std::vector<std::string> shown;
  std::string section;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('[') || line.starts_with("# [[")) {
      const std::size_t begin = line.find_last_of('[') + 1;
      const std::string name = line.substr(begin, line.find(']') - begin);
      section = name.starts_with("ports.") ? "ports.NAME" : name;
      shown.push_back(section);  // A key whose value is a table of the user's own keys.
    } else if (const std::size_t equals = line.find(" = "); equals != line.npos) {
      const std::size_t begin = line.starts_with("# ") ? 2 : 0;
      shown.push_back(section + "." + line.substr(begin, equals - begin));
    }
  }
  return shown;
}

/// "eal.memory_mb" and so on, of the members that a header declares one a line.
std::vector<std::string> fields_declared(const std::string& header) {
  std::istringstream lines(header);
  std::vector<std::string> fields;
  std::string section;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("struct ")) {
      section = line.substr(7, line.find(' ', 7) - 7);
      section[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(section[0])));
      section = section == "port" ? "ports.NAME" : section;
      section = section == "staticRule" ? "static_rules" : section;
      section = section == "nonIp" ? "non_ip" : section;
    } else if (line.starts_with("  ") && line.find(';') != line.npos &&
               line.find("friend") == line.npos && section != "config") {
      // An enumeration stands before the member: "enum class Idle : ... { poll } idle = ...".
      const std::size_t brace = line.starts_with("  enum") ? line.find('}') + 1 : 0;
      fields.push_back(section + "." + last_word(line.substr(brace), "={;"));
    }
  }
  return fields;
}

TEST(Example, ShowsEveryKeyInItsSection) {
  const std::vector<std::string> shown = keys_shown(source_text("config/example.toml"));
  for (const std::string& name : key_names()) {
    EXPECT_NE(std::find(shown.begin(), shown.end(), name), shown.end())
        << name << " is missing from config/example.toml";
  }
}

TEST(KeyNames, HoldEveryFieldOfConfig) {
  std::vector<std::string> names = key_names();
  names.push_back("ports.NAME.name");    // The name of the table, no key in it.
  names.push_back("static_rules.line");  // Where it stands.
  std::vector<std::string> fields = fields_declared(source_text("config/config.h"));
  std::sort(names.begin(), names.end());
  std::sort(fields.begin(), fields.end());
  EXPECT_EQ(names, fields) << "config/load.cc reads other keys than config/config.h declares";
}

/// The static rules of the example, which it has as comments.
TEST(Example, ShowsStaticRulesThatLoad) {
  std::istringstream lines(source_text("config/example.toml"));
  std::string rules;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    inside = (inside || line.starts_with("# [[static_rules]]")) && line.starts_with('#');
    rules += inside && line.size() > 2 ? line.substr(2) + "\n" : "";
  }
  const Loaded loaded = parse(std::string(kPorts) + rules, "x.toml");
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  ASSERT_EQ(loaded.config.static_rules.size(), 3U);
  const StaticRule& time = loaded.config.static_rules[0];
  EXPECT_EQ(time.name, "time");
  EXPECT_EQ(time.action, StaticRule::Action::pass);
  EXPECT_EQ(to_string(time.source.value()), "10.244.0.0/16");
  EXPECT_EQ(time.protocol, 17);
  EXPECT_EQ(time.source_ports, NumberRange(1024, 65'535));
  EXPECT_EQ(time.destination_ports, NumberRange(123, 123));
  EXPECT_GT(time.line, 0U);
  EXPECT_EQ(loaded.config.static_rules[1].tcp_flags, MaskedFlags(0x02, 0x12));
  EXPECT_EQ(loaded.config.static_rules[2].icmp_type, 8);
  EXPECT_EQ(loaded.config.static_rules[2].icmp_code, 0);
}

TEST(StaticRules, SayWhatIsWrongAndWhere) {
  const auto said = [](const std::string& rule, const std::string& what) {
    const std::string text = complaints("[[static_rules]]\naction = \"deny\"\n" + rule + "\n");
    EXPECT_NE(text.find(what), text.npos) << text;
  };
  said("protocol = \"tpc\"",
       "x.toml:9:12: static_rules[0].protocol: 'tpc' is no protocol (did you mean");
  said("protocol = 256", "'256' is no protocol");
  said("protocol = \"tcp\"\ndestination_ports = \"9-8\"", "write \"8-9\"");
  said("destination_ports = 80", "static_rules[0]: names ports; set protocol");
  said("protocol = \"tcp\"\ntcp_flags = \"sin\"", "'sin' is no TCP flag (did you mean");
  said("tcp_flags = \"syn\"", "set protocol = \"tcp\"");
  said("icmp_type = 8", "set protocol to \"icmp\"");
  said("protocol = \"icmp\"\nicmp_code = 1", "without its type");
  said("source = \"10.0.0.0/8\"\ndestination = \"fd00::/8\"", "different families");
  said("actoin = \"allow\"", "did you mean \"action\"?");
  EXPECT_NE(complaints("[[static_rules]]\n").find("has no action"), std::string::npos);
  EXPECT_NE(
      all(parse("static_rules = 3\n" + std::string(kPorts), "x.toml")).find("[[static_rules]]"),
      std::string::npos);
}

TEST(Parse, SurvivesDamage) {
  const std::string whole = source_text("config/example.toml");
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::string_view bytes("\"'[]{}=.#\n\\,0a \xff\0", 18);
  for (int i = 0; i < 2'000; ++i) {
    std::string text = whole;
    for (auto left = random() % 4 + 1; left > 0; --left) {
      const std::size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = bytes[random() % bytes.size()];
          break;
        case 1:
          text.erase(at, random() % 40);
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), random() % 40));
      }
    }
    for (const Error& problem : parse(text, "x.toml").problems) {
      EXPECT_FALSE(problem.message.empty());
    }
  }
}

}  // namespace
}  // namespace portcullis::config
