// SPDX-License-Identifier: MIT
#include "tests/support/manifest_world.h"

#include <array>
#include <cstdlib>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "classifier/compile.h"
#include "classifier/lookup.h"
#include "policy/evaluate.h"
#include "policy/expect.h"
#include "policy/locate.h"

namespace portcullis::test {

const std::string_view kTwoNamespaces = R"(
{apiVersion: v1, kind: Namespace, metadata: {name: x, labels: {team: x}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: z, labels: {team: z}}}
---
{apiVersion: v1, kind: Node, metadata: {name: n1},
 status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2}, spec: {podCIDR: 10.0.0.0/16},
 status: {addresses: [{type: InternalIP, address: 192.168.0.2}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: x, labels: {app: a, tier: front}},
 spec: {nodeName: n1, containers: [{name: m, image: i}]},
 status: {phase: Running, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: b, namespace: x, labels: {app: b}},
 spec: {nodeName: n1, containers: [{name: m, image: i, ports: [
   {name: http, containerPort: 8080}, {name: dns, containerPort: 53, protocol: UDP}]}]},
 status: {phase: Running, podIP: 10.0.0.2, podIPs: [{ip: 10.0.0.2}, {ip: "fd00::2"}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: c, namespace: x, labels: {app: c, env: ""}},
 spec: {nodeName: n2, containers: [
   {name: m, image: i, ports: [{name: http, containerPort: 80}]},
   {name: s, image: i, ports: [{name: http, containerPort: 81}]}]},
 status: {phase: Running, podIP: 10.0.0.3}}
---
{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: z, labels: {app: a}},
 spec: {nodeName: n2, containers: [{name: m, image: i}]},
 status: {phase: Running, podIP: 10.0.1.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: b, namespace: z, labels: {app: b}},
 spec: {nodeName: n2, containers: [
   {name: m, image: i, ports: [{name: http, containerPort: 8080, protocol: UDP}]}]},
 status: {phase: Running, podIP: 10.0.1.2}}
)";

namespace {

policy::Snapshot read(std::string_view text) {
  const std::array manifests{policy::Manifest{"cluster.yaml", std::string(kTwoNamespaces)},
                             policy::Manifest{"policies.yaml", std::string(text)}};
  policy::Loaded loaded = policy::load(manifests);
  for (const policy::Diagnostic& diagnostic : loaded.diagnostics) {
    if (diagnostic.severity == policy::Diagnostic::Severity::error) {
      ADD_FAILURE() << to_string(diagnostic);
    }
  }
  return std::move(loaded.snapshot);
}

}  // namespace

ManifestWorld::ManifestWorld(std::string_view text, classifier::DefaultMode mode)
    : snapshot_(read(text)),
      options_{mode, {}},
      lowered_(policy::lower(snapshot_, options_).value()),
      table_(classifier::compile(lowered_.rules).value()) {}

bool ManifestWorld::allows(std::string_view src,
                           std::string_view dst,
                           std::string_view port) const {
  const std::size_t space = port.find(' ');
  const std::string_view protocol = port.substr(0, space);
  const auto number = static_cast<std::uint16_t>(
      space == std::string_view::npos ? 0
                                      : std::strtoul(port.substr(space + 1).data(), nullptr, 10));
  policy::FlowText text{src, dst, 0, 0};
  if (protocol == "protocol") {
    text.protocol = static_cast<std::uint8_t>(number);
  } else {
    text.protocol = policy::parse_protocol(protocol).value();
    text.port = number;
  }
  const classifier::Flow flow = policy::Locator(snapshot_).locate(text).value().flow;
  const classifier::Verdict verdict = classifier::lookup(*table_, flow);
  const policy::Evaluation direct = policy::evaluate(snapshot_, options_, flow);
  EXPECT_EQ(verdict.egress.allowed(), direct.egress_allowed) << src << " -> " << dst << " " << port;
  EXPECT_EQ(verdict.ingress.allowed(), direct.ingress_allowed)
      << src << " -> " << dst << " " << port;
  return verdict.allowed();
}

std::string policy_in_x(std::string_view name, std::string_view spec) {
  return fmt::format(
      "\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {}, "
      "namespace: x}}\nspec:\n{}\n",
      name,
      spec);
}

}  // namespace portcullis::test
