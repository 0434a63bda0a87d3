// SPDX-License-Identifier: MIT
// What is refused in a NetworkPolicy: a case for each rule of docs/policy_semantics.md §7, with
// place, field path and the API server's words.
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/policy/load.h"

namespace portcullis::policy {
namespace {

struct Case {
  std::string_view text;              // Of the spec, from line 7 on.
  std::vector<std::string> expected;  // Beginnings of the diagnostics, "LINE:COLUMN: ...".
};

constexpr std::string_view kHead =
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: p\n"
    "  namespace: shop\nspec:\n";

void expect_all(std::string_view text, const std::vector<std::string>& expected) {
  const Loaded loaded = load_text(text);
  const std::string all = "for\n" + std::string(text) + "\n" + complaints(loaded);
  ASSERT_EQ(loaded.diagnostics.size(), expected.size()) << all;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(to_string(loaded.diagnostics[i]).starts_with("m.yaml:" + expected[i]))
        << expected[i] << "\n"
        << all;
  }
}

void expect_specs(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    std::vector<std::string> expected;
    for (const std::string& one : c.expected) {
      // "LINE:COLUMN: FIELD: MESSAGE" stands for an error of the one policy there is.
      const auto field = one.find(": ") + 2;
      const bool warning = one.substr(field).starts_with("warning: ");
      const std::string rest = one.substr(warning ? field + 9 : field);
      expected.push_back(one.substr(0, field) + (warning ? "warning" : "error") +
                         ": NetworkPolicy shop/p: " + rest);
    }
    expect_all(std::string(kHead) + std::string(c.text), expected);
  }
}

TEST(DecodePolicy, AcceptsWhatTheApiServerAccepts) {
  expect_specs({
      {"", {}},
      {"  podSelector:\n", {}},
      {"  podSelector: {}\n  ingress: []\n  egress: null\n  policyTypes: []\n", {}},
      {"  policyTypes: [Ingress, Ingress]\n", {}},
      {"  podSelector: {matchLabels: {a: '', b.c/d: X_1.2-3}}\n", {}},
      {"  podSelector: {matchExpressions: [{key: a, operator: Exists, values: []}]}\n", {}},
      {"  ingress:\n  - {}\n  - from: []\n    ports: []\n  - {from: null, ports: null}\n", {}},
      {"  ingress:\n  - ports: [{}, {port: 1}, {port: 65535, endPort: 65535}, {port: a-1}]\n", {}},
      {"  ingress:\n  - ports: [{port: 0x50}, {port: 0o17}, {port: 017}, {port: 8_0}]\n", {}},
      {"  ingress:\n  - ports: [{port: 80, protocol: SCTP}, {protocol: UDP}]\n", {}},
      {"  egress:\n  - to: [{podSelector: {}}, {namespaceSelector: {}, podSelector: {}}]\n", {}},
      {"  egress:\n  - to: [{ipBlock: {cidr: '::/0', except: ['fd00::/8']}}]\n", {}},
  });
}

TEST(DecodePolicy, RefusesSelectors) {
  const std::string in = "  podSelector: ";
  const std::string label = "a valid label must be an empty string or consist of alphanumeric";
  expect_specs({
      {in + "{matchLabels: {a: 'b c'}}\n",
       {"7:34: spec.podSelector.matchLabels: Invalid value: \"b c\": " + label}},
      {in + "{matchLabels: {'-a': b}}\n",
       {"7:31: spec.podSelector.matchLabels: Invalid value: \"-a\": name part must consist of"}},
      {in + "{matchLabels: {a/b/c: d}}\n",
       {"7:31: spec.podSelector.matchLabels: Invalid value: \"a/b/c\": a valid label key must"}},
      {in + "{matchLabels: {/c: d}}\n",
       {"7:31: spec.podSelector.matchLabels: Invalid value: \"/c\": prefix part must be "
        "non-empty"}},
      {in + "{matchLabels: {A/c: d}}\n",
       {"7:31: spec.podSelector.matchLabels: Invalid value: \"A/c\": prefix part a lowercase RFC "
        "1123 subdomain must consist"}},
      {in + "{matchLabels: {a: " + std::string(64, 'x') + "}}\n",
       {"7:34: spec.podSelector.matchLabels: Invalid value: \"" + std::string(64, 'x') +
        "\": must be no more than 63 characters"}},
      {in + "{matchExpressions: [{key: a, operator: in, values: [b]}]}\n",
       {"7:55: spec.podSelector.matchExpressions[0].operator: Invalid value: \"in\": not a valid "
        "selector operator"}},
      {in + "{matchExpressions: [{key: a}]}\n",
       {"7:36: spec.podSelector.matchExpressions[0].operator: Invalid value: \"\": not a valid "
        "selector operator"}},
      {in + "{matchExpressions: [{key: a, operator: In}, {key: a, operator: NotIn, values: []}]}\n",
       {"7:36: spec.podSelector.matchExpressions[0].values: Required value: must be specified when",
        "7:94: spec.podSelector.matchExpressions[1].values: Required value: must be specified "
        "when"}},
      {in + "{matchExpressions: [{key: a, operator: Exists, values: [b]}]}\n",
       {"7:71: spec.podSelector.matchExpressions[0].values: Forbidden: may not be specified when"}},
      {in + "{matchExpressions: [{operator: Exists}]}\n",
       {"7:36: spec.podSelector.matchExpressions[0].key: Invalid value: \"\": name part must be "
        "non-empty",
        "7:36: spec.podSelector.matchExpressions[0].key: Invalid value: \"\": name part must "
        "consist"}},
      {in + "{matchExpressions: [{key: a, operator: In, values: [b, '-']}]}\n",
       {"7:71: spec.podSelector.matchExpressions[0].values[1]: Invalid value: \"-\": " + label}},
      {"  ingress: [{from: [{podSelector: {matchLabels: {a: .}}}]}]\n",
       {"7:53: spec.ingress[0].from[0].podSelector.matchLabels: Invalid value: \".\": " + label}},
      {"  egress: [{to: [{namespaceSelector: {matchExpressions: [{key: a, operator: X}]}}]}]\n",
       {"7:77: spec.egress[0].to[0].namespaceSelector.matchExpressions[0].operator: Invalid"}},
  });
}

TEST(DecodePolicy, RefusesPorts) {
  const std::string in = "  ingress:\n  - ports:\n    - ";
  const std::string at = ": spec.ingress[0].ports[0].";
  const std::string range = "must be between 1 and 65535, inclusive";
  expect_specs({
      {in + "protocol: tcp\n",
       {"9:17" + at +
        "protocol: Unsupported value: \"tcp\": supported values: \"TCP\", \"UDP\", "
        "\"SCTP\"; did you mean \"TCP\"?"}},
      {in + "protocol: ''\n", {"9:17" + at + "protocol: Unsupported value: \"\""}},
      {in + "port: 0\n", {"9:13" + at + "port: Invalid value: 0: " + range}},
      {in + "port: -1\n", {"9:13" + at + "port: Invalid value: -1: " + range}},
      {in + "port: 65536\n", {"9:13" + at + "port: Invalid value: 65536: " + range}},
      {in + "port: '80'\n",
       {"9:13" + at + "port: Invalid value: \"80\": must contain at least one letter (a-z)"}},
      {in + "port: ''\n",
       {"9:13" + at + "port: Invalid value: \"\": must contain only alpha-numeric characters",
        "9:13" + at + "port: Invalid value: \"\": must contain at least one letter (a-z)"}},
      {in + "port: abcdefghijklmnop\n",
       {"9:13" + at + "port: Invalid value: \"abcdefghijklmnop\": must be no more than 15"}},
      {in + "port: Http\n", {"9:13" + at + "port: Invalid value: \"Http\": must contain only"}},
      {in + "port: a--b\n",
       {"9:13" + at + "port: Invalid value: \"a--b\": must not contain consecutive hyphens"}},
      {in + "port: a-\n",
       {"9:13" + at + "port: Invalid value: \"a-\": must not begin or end with a hyphen"}},
      {in + "port: 80\n      endPort: 79\n",
       {"10:16" + at + "endPort: Invalid value: 79: must be greater than or equal to `port`"}},
      {in + "port: 80\n      endPort: 65536\n",
       {"10:16" + at + "endPort: Invalid value: 65536: " + range}},
      {in + "endPort: 80\n",
       {"9:16" + at +
        "endPort: Invalid value: 80: may not be specified when `port` is not "
        "specified"}},
      {in + "port: http\n      endPort: 80\n",
       {"10:16" + at +
        "endPort: Invalid value: 80: may not be specified when `port` is "
        "non-numeric"}},
  });
}

TEST(DecodePolicy, RefusesPeers) {
  const std::string in = "  egress:\n  - to:\n    - ";
  const std::string at = ": spec.egress[0].to[0]";
  const std::string cidr = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
  const std::string subset = "must be a strict subset of `cidr`";
  const auto block = [&](const std::string& text) { return in + "ipBlock: {" + text + "}\n"; };
  expect_specs({
      {in + "{}\n", {"9:7" + at + ": Required value: must specify a peer"}},
      {in + "\n", {"9:6" + at + ": Required value: must specify a peer"}},
      {in + "podSelector:\n", {"9:7" + at + ": Required value: must specify a peer"}},
      {in + "{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}\n",
       {"9:7" + at + ": Forbidden: may not specify both ipBlock and another peer"}},
      {block(""), {"9:16" + at + ".ipBlock.cidr: Required value"}},
      {block("cidr: ''"), {"9:23" + at + ".ipBlock.cidr: Required value"}},
      {block("cidr: 10.0.0.1"),
       {"9:23" + at + ".ipBlock.cidr: Invalid value: \"10.0.0.1\": " + cidr}},
      {block("cidr: 10.0.0.0/33"),
       {"9:23" + at + ".ipBlock.cidr: Invalid value: \"10.0.0.0/33\": " + cidr}},
      {block("cidr: 10.0.0.0/8, except: [x]"),
       {"9:44" + at + ".ipBlock.except[0]: Invalid value: \"x\": " + cidr}},
      {block("cidr: 10.0.0.0/8, except: [10.0.0.0/8]"),
       {"9:44" + at + ".ipBlock.except[0]: Invalid value: \"10.0.0.0/8\": " + subset}},
      {block("cidr: 10.0.0.0/8, except: [10.0.0.0/7]"),
       {"9:44" + at + ".ipBlock.except[0]: Invalid value: \"10.0.0.0/7\": " + subset}},
      {block("cidr: 10.0.0.0/8, except: [11.0.0.0/16]"),
       {"9:44" + at + ".ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": " + subset}},
      {block("cidr: 10.0.0.0/8, except: ['fd00::/16']"),
       {"9:44" + at + ".ipBlock.except[0]: Invalid value: \"fd00::/16\": " + subset}},
  });
}

TEST(DecodePolicy, RefusesPolicyTypes) {
  expect_specs({
      {"  policyTypes: [Ingress, Egress, Ingress]\n",
       {"7:16: spec.policyTypes: Invalid value: may not specify more than two policyTypes"}},
      {"  policyTypes: [ingress]\n",
       {"7:17: spec.policyTypes[0]: Unsupported value: \"ingress\": supported values: "
        "\"Ingress\", \"Egress\"; did you mean \"Ingress\"?"}},
      {"  policyTypes: Ingress\n",
       {"7:16: spec.policyTypes: cannot unmarshal string into a field of type list"}},
  });
}

TEST(DecodePolicy, RefusesWrongTypes) {
  const std::string label = "  podSelector: {matchLabels: {a: ";
  const std::string at = "7:34: spec.podSelector.matchLabels: cannot unmarshal ";
  const std::string string = " into a field of type string";
  const std::string port = "  ingress: [{ports: [{port: ";
  const std::string at_port = "7:29: spec.ingress[0].ports[0].port: cannot unmarshal ";
  expect_specs({
      {label + "1}}\n", {at + "number" + string + ": quote it, \"1\""}},
      {label + "1.0}}\n", {at + "number" + string}},
      {label + "0x1F}}\n", {at + "number" + string}},
      {label + "true}}\n", {at + "bool" + string}},
      {label + "no}}\n", {at + "bool" + string + ": quote it, \"no\""}},
      {label + "y}}\n", {}},
      {label + "[b]}}\n", {at + "array" + string}},
      {label + "{b: c}}}\n", {at + "object" + string}},
      {port + "80.5}]}]\n", {at_port + "number into a field of type int32"}},
      {port + "80.0}]}]\n", {at_port + "number"}},
      {port + "true}]}]\n", {at_port + "bool"}},
      {port + "[80]}]}]\n", {at_port + "array"}},
      {port + "{a: 80}}]}]\n", {at_port + "object"}},
      {port + "2147483648}]}]\n", {at_port + "number"}},
      {port + "99999999999999999999}]}]\n", {at_port + "number"}},
      {"  ingress: [{ports: [{port: 1, endPort: '2'}]}]\n",
       {"7:41: spec.ingress[0].ports[0].endPort: cannot unmarshal string into a field of type"}},
      {"  ingress: {}\n",
       {"7:12: spec.ingress: cannot unmarshal object into a field of type list"}},
      {"  ingress: [a]\n",
       {"7:13: spec.ingress[0]: cannot unmarshal string into a field of type object"}},
      {"  egress: [{to: {podSelector: {}}}]\n",
       {"7:17: spec.egress[0].to: cannot unmarshal object into a field of type list"}},
      {"  podSelector: []\n",
       {"7:16: spec.podSelector: cannot unmarshal array into a field of type object"}},
  });
}

TEST(DecodePolicy, RefusesUnknownAndMisplacedFields) {
  expect_specs({
      {"  podselector: {}\n",
       {"7:3: spec.podselector: unknown field \"spec.podselector\"; did you mean "
        "\"podSelector\"?"}},
      {"  ingress:\n  - form: []\n",
       {"8:5: spec.ingress[0].form: unknown field \"spec.ingress[0].form\"; did you mean "
        "\"from\"?"}},
      {"  ingress:\n  - to: []\n",
       {"8:5: spec.ingress[0].to: unknown field \"spec.ingress[0].to\": to belongs in an item of "
        "spec.egress"}},
      {"  ports: []\n", {"7:3: spec.ports: unknown field \"spec.ports\": ports belongs in"}},
      {"  ingress:\n  - podSelector: {}\n",
       {"8:5: spec.ingress[0].podSelector: unknown field \"spec.ingress[0].podSelector\": "
        "podSelector belongs in spec, or in an item of from or to"}},
      {"  podSelector: {app: web}\n",
       {"7:17: spec.podSelector.app: unknown field \"spec.podSelector.app\""}},
      {"  ingress:\n  - from:\n    - ipBlock: {cidr: 10.0.0.0/8, excepts: []}\n",
       {"9:35: spec.ingress[0].from[0].ipBlock.excepts: unknown field "
        "\"spec.ingress[0].from[0].ipBlock.excepts\"; did you mean \"except\"?"}},
      {"  ingress:\n  - ports: [{targetPort: 1}]\n",
       {"8:14: spec.ingress[0].ports[0].targetPort: unknown field"}},
      {"podSelector: {}\n",
       {"7:1: podSelector: unknown field \"podSelector\": podSelector belongs"}},
  });
  expect_all(
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, lables: {}}\n",
      {"3:21: error: NetworkPolicy default/p: metadata.lables: unknown field "
       "\"metadata.lables\"; did you mean \"labels\"?"});
  expect_all(
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n"
      "spec:\n  podSelector: {}\n  podSelector: {}\n",
      {"6:3: error: spec.podSelector: duplicate field \"podSelector\", already set at line "
       "5"});
}

TEST(DecodePolicy, WarnsOfWhatIsAcceptedAndHardlyMeant) {
  expect_specs({
      {"  egress:\n  - to: [{ipBlock: {cidr: 10.1.2.3/8}}]\n",
       {"8:27: warning: spec.egress[0].to[0].ipBlock.cidr: \"10.1.2.3/8\" is read as 10.0.0.0/8"}},
      {"  egress:\n  - to: [{ipBlock: {cidr: 010.0.0.0/8}}]\n",
       {"8:27: warning: spec.egress[0].to[0].ipBlock.cidr: \"010.0.0.0/8\" is read as"}},
      {"  policyTypes: [Egress]\n  ingress: [{}]\n",
       {"7:16: warning: spec.policyTypes: spec.ingress has no effect"}},
      {"  ingress:\n  -\n", {"8:4: warning: spec.ingress[0]: an empty item allows everything"}},
      {"  podSelector: {matchLabels: {a: }}\n",
       {"7:34: warning: spec.podSelector.matchLabels: \"a\" has no value"}},
  });
}

TEST(DecodePolicy, ReportsAllErrorsOfAllObjectsAtOnce) {
  expect_all(
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: A}\n"
      "spec: {ingress: [{ports: [{port: 0}, {protocol: x}]}]}\n---\n"
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {}\n",
      {"3:18: error: NetworkPolicy default/A: metadata.name: Invalid value: \"A\": a lowercase RFC "
       "1123 subdomain must consist",
       "4:34: error: NetworkPolicy default/A: spec.ingress[0].ports[0].port: Invalid value: 0",
       "4:49: error: NetworkPolicy default/A: spec.ingress[0].ports[1].protocol: Unsupported",
       "8:11: error: NetworkPolicy without a name: metadata.name: Required value: name or "
       "generateName is required"});
}

TEST(DecodePolicy, DefaultsPolicyTypes) {
  struct Types {
    std::string_view spec;
    bool ingress;
    bool egress;
  };
  for (const Types& c : {Types{"", true, false},
                         Types{"  policyTypes:\n", true, false},
                         Types{"  egress: []\n", true, false},
                         Types{"  egress: [{}]\n", true, true},
                         Types{"  policyTypes: [Egress]\n", false, true},
                         Types{"  policyTypes: [Ingress]\n  egress: [{}]\n", true, false}}) {
    const Loaded loaded = load_text(std::string(kHead) + std::string(c.spec));
    ASSERT_TRUE(loaded.ok()) << complaints(loaded);
    EXPECT_EQ(loaded.snapshot.policies.at(0).isolates_ingress, c.ingress) << c.spec;
    EXPECT_EQ(loaded.snapshot.policies.at(0).isolates_egress, c.egress) << c.spec;
  }
}

}  // namespace
}  // namespace portcullis::policy
