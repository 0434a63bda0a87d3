// SPDX-License-Identifier: MIT
#include "config/load.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "base/limits.h"
#include "config/nesting.h"
#include "config/non_ip_words.h"
#include "config/rule_words.h"
#include "config/suggest.h"
#include "config/toml_value.h"
#include "config/validate.h"

namespace portcullis::config {
namespace {

constexpr std::size_t kFileBytesMax = std::size_t{1} << 20U;
constexpr std::uint32_t kCpuMax = 1023;
constexpr std::uint32_t kFlowsMax = 67'108'864;
constexpr std::uint32_t kTimeoutMaxSeconds = 30 * 24 * 3600;

/// A key of a section: its name and the way into its field.
template <typename Section>
struct Key {
  std::string_view name;
  void (*read)(Section&, const Value&);
};

constexpr std::array<Choice<Eal::Idle>, 2> kIdles{
    {{"poll", Eal::Idle::poll}, {"sleep", Eal::Idle::sleep}}};
constexpr std::array<Choice<Port::Role>, 4> kRoles{{{"wire", Port::Role::wire},
                                                    {"pod", Port::Role::pod},
                                                    {"uplink", Port::Role::uplink},
                                                    {"mirror", Port::Role::mirror}}};
constexpr std::array<Choice<Mode::Kind>, 3> kModes{
    {{"wire", Mode::Kind::wire}, {"node", Mode::Kind::node}, {"mirror", Mode::Kind::mirror}}};
constexpr std::array<Choice<Policy::Default>, 2> kDefaults{
    {{"kubernetes", Policy::Default::kubernetes}, {"deny", Policy::Default::deny}}};
constexpr std::array<Choice<Conntrack::Established>, 2> kEstablished{
    {{"revalidate", Conntrack::Established::revalidate}, {"keep", Conntrack::Established::keep}}};
constexpr std::array<Choice<TcpWindow>, 2> kTcpWindow{
    {{"strict", TcpWindow::strict}, {"off", TcpWindow::off}}};
constexpr std::array<Choice<std::string_view>, 6> kLogLevels{{{"trace", "trace"},
                                                              {"debug", "debug"},
                                                              {"info", "info"},
                                                              {"warn", "warn"},
                                                              {"error", "error"},
                                                              {"off", "off"}}};

constexpr std::array<Key<Eal>, 10> kEalKeys{{
    {"file_prefix", [](Eal& s, const Value& v) { v.read(s.file_prefix); }},
    {"hugepages", [](Eal& s, const Value& v) { v.read(s.hugepages); }},
    {"pci", [](Eal& s, const Value& v) { v.read(s.pci); }},
    {"memory_mb", [](Eal& s, const Value& v) { v.read(s.memory_mb, 32, 1'048'576); }},
    {"control_cpu", [](Eal& s, const Value& v) { v.read(s.control_cpu, 0, kCpuMax); }},
    {"worker_cpus", [](Eal& s, const Value& v) { v.read(s.worker_cpus, 0U, kCpuMax); }},
    {"compile_cpus", [](Eal& s, const Value& v) { v.read(s.compile_cpus, 0U, kCpuMax); }},
    {"mbufs", [](Eal& s, const Value& v) { v.read(s.mbufs, 512, 16'777'216); }},
    {"idle", [](Eal& s, const Value& v) { v.read(s.idle, kIdles); }},
    {"telemetry", [](Eal& s, const Value& v) { v.read(s.telemetry); }},
}};

constexpr std::array<Key<Port>, 5> kPortKeys{{
    {"vdev", [](Port& s, const Value& v) { v.read(s.vdev); }},
    {"pci", [](Port& s, const Value& v) { v.read(s.pci); }},
    {"role", [](Port& s, const Value& v) { v.read(s.role, kRoles); }},
    {"addresses", [](Port& s, const Value& v) { v.read(s.addresses); }},
    {"mtu", [](Port& s, const Value& v) { v.read(s.mtu, kMtuMin, kMtuMax); }},
}};

constexpr std::array<Key<Mode>, 5> kModeKeys{{
    {"kind", [](Mode& s, const Value& v) { v.read(s.kind, kModes); }},
    {"pairs", [](Mode& s, const Value& v) { v.read(s.pairs); }},
    {"carry_link", [](Mode& s, const Value& v) { v.read(s.carry_link); }},
    {"gateways", [](Mode& s, const Value& v) { v.read(s.gateways); }},
    {"uplink_networks", [](Mode& s, const Value& v) { v.read(s.uplink_networks); }},
}};

constexpr std::array<Choice<Policy::Reject>, 2> kRejects{
    {{"drop", Policy::Reject::drop}, {"reset", Policy::Reject::reset}}};
constexpr std::array<Key<Policy>, 4> kPolicyKeys{{
    {"default_mode", [](Policy& s, const Value& v) { v.read(s.default_mode, kDefaults); }},
    {"manifests", [](Policy& s, const Value& v) { v.read(s.manifests); }},
    {"pod_cidrs", [](Policy& s, const Value& v) { v.read(s.pod_cidrs); }},
    {"reject", [](Policy& s, const Value& v) { v.read(s.reject, kRejects); }},
}};

constexpr std::array<Choice<StaticRule::Action>, 3> kActions{{{"allow", StaticRule::Action::allow},
                                                              {"deny", StaticRule::Action::deny},
                                                              {"pass", StaticRule::Action::pass}}};
using Sr = StaticRule;
constexpr std::array<Key<Sr>, 10> kStaticRuleKeys{{
    {"name", [](Sr& s, const Value& v) { v.read(s.name); }},
    {"action", [](Sr& s, const Value& v) { v.read(s.action, kActions); }},
    {"source", [](Sr& s, const Value& v) { v.read(s.source); }},
    {"destination", [](Sr& s, const Value& v) { v.read(s.destination); }},
    {"protocol", [](Sr& s, const Value& v) { v.read_word(s.protocol.emplace(), parse_protocol); }},
    {"source_ports", [](Sr& s, const Value& v) { v.read_word(s.source_ports, parse_ports); }},
    {"destination_ports",
     [](Sr& s, const Value& v) { v.read_word(s.destination_ports, parse_ports); }},
    {"tcp_flags", [](Sr& s, const Value& v) { v.read_word(s.tcp_flags, parse_tcp_flags); }},
    {"icmp_type", [](Sr& s, const Value& v) { v.read(s.icmp_type.emplace(), 0, 255); }},
    {"icmp_code", [](Sr& s, const Value& v) { v.read(s.icmp_code.emplace(), 0, 255); }},
}};

using Ct = Conntrack;
constexpr std::array<Key<Ct>, 12> kConntrackKeys{{
    {"flows_max", [](Ct& s, const Value& v) { v.read(s.flows_max, 64, kFlowsMax); }},
    {"namespace_flows_max",
     [](Ct& s, const Value& v) { v.read(s.namespace_flows_max, 0, kFlowsMax); }},
    {"namespace_flows", [](Ct& s, const Value& v) { v.read(s.namespace_flows, 0U, kFlowsMax); }},
    {"established", [](Ct& s, const Value& v) { v.read(s.established, kEstablished); }},
    {"tcp_syn_timeout_s",
     [](Ct& s, const Value& v) { v.read(s.tcp_syn_timeout_s, 1, kTimeoutMaxSeconds); }},
    {"tcp_established_timeout_s",
     [](Ct& s, const Value& v) { v.read(s.tcp_established_timeout_s, 1, kTimeoutMaxSeconds); }},
    {"tcp_closing_timeout_s",
     [](Ct& s, const Value& v) { v.read(s.tcp_closing_timeout_s, 1, kTimeoutMaxSeconds); }},
    {"udp_timeout_s",
     [](Ct& s, const Value& v) { v.read(s.udp_timeout_s, 1, kTimeoutMaxSeconds); }},
    {"sctp_timeout_s",
     [](Ct& s, const Value& v) { v.read(s.sctp_timeout_s, 1, kTimeoutMaxSeconds); }},
    {"icmp_timeout_s",
     [](Ct& s, const Value& v) { v.read(s.icmp_timeout_s, 1, kTimeoutMaxSeconds); }},
    {"tcp_loose", [](Ct& s, const Value& v) { v.read(s.tcp_loose); }},
    {"tcp_window", [](Ct& s, const Value& v) { v.read(s.tcp_window.emplace(), kTcpWindow); }},
}};

constexpr std::array<Choice<TunnelKind>, 4> kTunnelKinds{{{"vxlan", TunnelKind::vxlan},
                                                          {"geneve", TunnelKind::geneve},
                                                          {"gre", TunnelKind::gre},
                                                          {"ipip", TunnelKind::ipip}}};
constexpr std::array<Key<Tunnels>, 4> kTunnelsKeys{{
    {"kinds", [](Tunnels& s, const Value& v) { v.read(s.kinds, kTunnelKinds); }},
    {"vxlan_ports", [](Tunnels& s, const Value& v) { v.read(s.vxlan_ports, 1U, 65'535U); }},
    {"geneve_ports", [](Tunnels& s, const Value& v) { v.read(s.geneve_ports, 1U, 65'535U); }},
    {"endpoints", [](Tunnels& s, const Value& v) { v.read(s.endpoints); }},
}};

constexpr std::array<Key<NonIp>, 1> kNonIpKeys{{
    {"allow", [](NonIp& s, const Value& v) { v.read(s.allow, parse_non_ip); }},
}};

constexpr std::array<Key<Control>, 10> kControlKeys{{
    {"socket", [](Control& s, const Value& v) { v.read(s.socket); }},
    {"clients_max", [](Control& s, const Value& v) { v.read(s.clients_max, 1, 1024); }},
    {"message_mb_max", [](Control& s, const Value& v) { v.read(s.message_mb_max, 1, 1024); }},
    {"changes_max", [](Control& s, const Value& v) { v.read(s.changes_max, 1, 1024); }},
    {"client_timeout_s", [](Control& s, const Value& v) { v.read(s.client_timeout_s, 1, 3600); }},
    {"observe_groups", [](Control& s, const Value& v) { v.read(s.observe_groups); }},
    {"operate_groups", [](Control& s, const Value& v) { v.read(s.operate_groups); }},
    {"admin_groups", [](Control& s, const Value& v) { v.read(s.admin_groups); }},
    {"audit_log", [](Control& s, const Value& v) { v.read(s.audit_log); }},
    {"state", [](Control& s, const Value& v) { v.read(s.state); }},
}};

constexpr std::array<Key<Observe>, 1> kObserveKeys{{
    {"log_level",
     [](Observe& s, const Value& v) {
       std::string_view level = s.log_level;
       v.read(level, kLogLevels);
       s.log_level = std::string(level);
     }},
}};

constexpr std::array<Key<Limits>, 2> kLimitsKeys{{
    {"table_mb_max", [](Limits& s, const Value& v) { v.read(s.table_mb_max, 1, 65'536); }},
    {"history_max",
     [](Limits& s, const Value& v) {
       v.read(s.history_max, 1, std::uint32_t{limits::kHistoryMax});
     }},
}};

/// Calls visit(name, keys, field) for every section but [ports.NAME]: the one list of sections.
template <typename Visit>
void for_each_section(Config& config, Visit visit) {
  visit("eal", std::span(kEalKeys), config.eal);
  visit("mode", std::span(kModeKeys), config.mode);
  visit("policy", std::span(kPolicyKeys), config.policy);
  visit("conntrack", std::span(kConntrackKeys), config.conntrack);
  visit("tunnels", std::span(kTunnelsKeys), config.tunnels);
  visit("non_ip", std::span(kNonIpKeys), config.non_ip);
  visit("control", std::span(kControlKeys), config.control);
  visit("observe", std::span(kObserveKeys), config.observe);
  visit("limits", std::span(kLimitsKeys), config.limits);
}

template <typename Section>
std::vector<std::string> names_of(std::span<const Key<Section>> keys) {
  std::vector<std::string> names;
  for (const Key<Section>& key : keys) {
    names.emplace_back(key.name);
  }
  return names;
}

/// " (it belongs to [limits])" where another section has a key of this name.
std::string section_of(std::string_view key) {
  for (const std::string& name : key_names()) {
    const std::size_t dot = name.rfind('.');
    if (std::string_view(name).substr(dot + 1) == key) {
      return fmt::format(" (it belongs to [{}])", name.substr(0, dot));
    }
  }
  return {};
}

template <typename Section>
void read_section(const toml::node& node,
                  const std::string& path,
                  std::span<const Key<Section>> keys,
                  Section& out,
                  Problems& problems) {
  const toml::table* table = node.as_table();
  if (table == nullptr) {
    problems.add(node.source().begin,
                 fmt::format("{0} must be a table, not {1}; write [{0}]", path, kind_of(node)));
    return;
  }
  for (const auto& [written, value] : *table) {
    const toml::key& name = written;  // clang 14 captures no structured binding.
    const auto key = std::find_if(
        keys.begin(), keys.end(), [&](const Key<Section>& k) { return k.name == name.str(); });
    const std::string full = fmt::format("{}.{}", path, name.str());
    if (key != keys.end()) {
      key->read(out, Value(value, full, problems));
      continue;
    }
    std::string suggestion = did_you_mean(name.str(), names_of(keys));
    problems.add(name.source().begin,
                 fmt::format("{}: there is no such key{}",
                             full,
                             suggestion.empty() ? section_of(name.str()) : suggestion));
  }
}

/// Ports keep the order of the file, which toml++ forgets.
void read_ports(const toml::node& node, std::vector<Port>& out, Problems& problems) {
  const toml::table* ports = node.as_table();
  if (ports == nullptr) {
    problems.add(node.source().begin, "ports must be tables: [ports.NAME], one a port");
    return;
  }
  std::vector<std::pair<const toml::key*, const toml::node*>> in_order;
  for (const auto& [name, value] : *ports) {
    in_order.emplace_back(&name, &value);
  }
  std::stable_sort(in_order.begin(), in_order.end(), [](const auto& a, const auto& b) {
    return a.first->source().begin < b.first->source().begin;
  });
  for (const auto& [name, value] : in_order) {
    Port& port = out.emplace_back();
    port.name = std::string(name->str());
    read_section<Port>(*value, "ports." + port.name, kPortKeys, port, problems);
  }
}

void read_static_rules(const toml::node& node, std::vector<StaticRule>& out, Problems& problems) {
  const toml::array* rules = node.as_array();
  if (rules == nullptr) {
    problems.add(node.source().begin, "static_rules must be tables: [[static_rules]], one a rule");
    return;
  }
  for (const toml::node& rule : *rules) {
    const std::string path = fmt::format("static_rules[{}]", out.size());
    out.push_back({.line = rule.source().begin.line});
    read_section<StaticRule>(rule, path, kStaticRuleKeys, out.back(), problems);
    if (const toml::table* table = rule.as_table();
        table != nullptr && !table->contains("action")) {
      problems.add(rule.source().begin,
                   fmt::format("{}: has no action; write \"allow\", \"deny\" or \"pass\"", path));
    }
  }
}

void read_root(const toml::table& root, Config& config, Problems& problems) {
  std::vector<std::string> sections{"ports", "static_rules"};
  for_each_section(config, [&](const char* name, auto keys, auto& section) {
    sections.emplace_back(name);
    if (const toml::node* node = root.get(name)) {
      using Section = std::remove_reference_t<decltype(section)>;
      read_section<Section>(*node, name, keys, section, problems);
    }
  });
  if (const toml::node* node = root.get("ports")) {
    read_ports(*node, config.ports, problems);
  }
  if (const toml::node* node = root.get("static_rules")) {
    read_static_rules(*node, config.static_rules, problems);
  }
  for (const auto& [name, value] : root) {
    if (std::find(sections.begin(), sections.end(), name.str()) != sections.end()) {
      continue;
    }
    std::string suggestion = did_you_mean(name.str(), sections);
    if (suggestion.empty()) {
      suggestion = section_of(name.str());
    }
    problems.add(name.source().begin,
                 fmt::format("{}: there is no such {}{}",
                             name.str(),
                             value.is_table() ? "section" : "key outside the sections",
                             suggestion));
  }
}

/// Item of "[3]" at the begin of `field`, which it takes off with the dot behind it; or null.
const toml::node* take_item(const toml::array& array, std::string_view& field) {
  const std::size_t end = field.find(']');
  if (!field.starts_with('[') || end == std::string_view::npos) {
    return nullptr;
  }
  std::size_t index = 0;
  std::from_chars(field.data() + 1, field.data() + end, index);
  field.remove_prefix(std::min(field.size(), end + 2));
  return array.get(index);
}

/// Where "ports.web.addresses" or "static_rules[3]" stands, or the innermost table that should hold
/// it.
toml::source_position place_of(const toml::table& root, std::string_view field) {
  const toml::table* table = &root;
  toml::source_position at{};
  while (table != nullptr && !field.empty()) {
    // A port's name may hold dots: the longest name that fits wins.
    const toml::node* found = nullptr;
    std::size_t taken = 0;
    for (const auto& [name, value] : *table) {
      const bool fits = field.starts_with(name.str()) &&
                        (field.size() == name.length() || field[name.length()] == '.' ||
                         field[name.length()] == '[');
      if (fits && name.length() >= taken) {
        found = &value;
        taken = name.length();
      }
    }
    if (found == nullptr) {
      break;
    }
    field.remove_prefix(taken);
    if (const toml::array* array = found->as_array(); array != nullptr && !field.empty()) {
      found = take_item(*array, field);
    } else {
      field.remove_prefix(std::min<std::size_t>(field.size(), 1));
    }
    if (found == nullptr) {
      break;
    }
    at = found->source().begin;
    table = found->as_table();
  }
  return at;
}

}  // namespace

Loaded parse(std::string_view text, std::string_view name) {
  Loaded out{.config = {.file = std::string(name)}};
  if (has_endless_key(text)) {
    out.problems.push_back(
        {"a key has more than 32 dots; no key of ours nests so deep", std::string(name)});
    return out;
  }
  Problems problems(name);
  try {
    const toml::table root = toml::parse(text, name);
    read_root(root, out.config, problems);
    out.problems = problems.take();
    if (out.ok()) {  // A value that was not read would contradict others for no good reason.
      for (Contradiction& found : validate(out.config)) {
        problems.add(place_of(root, found.field), found.field + ": " + found.message);
      }
      out.problems = problems.take();
    }
  } catch (const toml::parse_error& error) {
    problems.add(error.source().begin, std::string(error.description()));
    out.problems = problems.take();
  }
  return out;
}

Result<Config> load(const std::filesystem::path& path) {
  PORTCULLIS_TRY(const std::string text, read_file(path, kFileBytesMax));
  Loaded loaded = parse(text, path.string());
  if (loaded.ok()) {
    return std::move(loaded.config);
  }
  std::string message;
  for (const Error& problem : loaded.problems) {
    message += (message.empty() ? "" : "\n") + to_string(problem);
  }
  return fail(std::move(message));
}

std::vector<std::string> key_names() {
  std::vector<std::string> names;
  const auto add = [&names](const std::string& section, auto keys) {
    for (const auto& key : keys) {
      names.push_back(fmt::format("{}.{}", section, key.name));
    }
  };
  Config unused;
  for_each_section(unused, [&](const char* name, auto keys, auto&) { add(name, keys); });
  add("ports.NAME", std::span(kPortKeys));
  add("static_rules", std::span(kStaticRuleKeys));
  return names;
}

}  // namespace portcullis::config
