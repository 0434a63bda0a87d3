// SPDX-License-Identifier: MIT
// load(), read_manifests() and digest(): whole manifests, and what holds between objects.
#include "policy/snapshot.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/policy/load.h"

namespace portcullis::policy {
namespace {

constexpr std::string_view kShop = R"(# A small shop.
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: blue}}
---
apiVersion: v1
kind: Node
metadata:
  name: n1
  labels: {zone: a}
spec:
  podCIDR: 10.0.0.0/24
  podCIDRs: [10.0.0.0/24, "fd00::/64"]
status:
  addresses:
  - {type: InternalIP, address: 192.168.0.1}
  - {type: Hostname, address: n1}
---
apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: shop
  labels: {app: web, "b": "1"}
spec:
  nodeName: n1
  containers:
  - name: web
    ports:
    - {name: http, containerPort: 8080}
    - {name: dns, containerPort: 53, protocol: UDP}
  initContainers:
  - name: proxy
    restartPolicy: Always
    ports: [{containerPort: 15001}]
  - name: once
    ports: [{containerPort: 1}]
status:
  phase: Running
  podIP: 10.0.0.5
  podIPs: [{ip: 10.0.0.5}, {ip: "fd00::5"}]
  hostIP: 192.168.0.1
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from:
    - podSelector: {}
      namespaceSelector: {matchExpressions: [{key: team, operator: NotIn, values: [red]}]}
    - ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}
    ports:
    - port: http
    - {port: 8000, endPort: 8080, protocol: UDP}
    - {}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 1}]}
)";

TEST(Load, ReadsEveryKindThatPoliciesSpeakOf) {
  const Loaded loaded = load_text(kShop);
  ASSERT_TRUE(loaded.ok()) << complaints(loaded);
  EXPECT_EQ(complaints(loaded), "");
  const Snapshot& world = loaded.snapshot;
  ASSERT_EQ(world.namespaces.size(), 1U);
  EXPECT_EQ(world.namespaces[0].labels, (Labels{{"team", "blue"}}));
  EXPECT_EQ(to_string(world.namespaces[0].where), "m.yaml:2:1");
  ASSERT_EQ(world.nodes.size(), 1U);
  EXPECT_EQ(world.nodes[0].addresses.size(), 1U);
  ASSERT_EQ(world.nodes[0].pod_cidrs.size(), 2U);
  EXPECT_EQ(to_string(world.nodes[0].pod_cidrs[1]), "fd00::/64");
  ASSERT_EQ(world.pods.size(), 1U);
  const Pod& pod = world.pods[0];
  EXPECT_EQ(pod.labels, (Labels{{"app", "web"}, {"b", "1"}}));
  EXPECT_EQ(pod.node, "n1");
  EXPECT_FALSE(pod.terminated);
  ASSERT_EQ(pod.addresses.size(), 2U);
  EXPECT_EQ(to_string(pod.addresses[1]), "fd00::5");
  EXPECT_EQ(pod.host_addresses.size(), 1U);
  ASSERT_EQ(pod.ports.size(), 3U);
  EXPECT_EQ(pod.ports[0].name, "http");
  EXPECT_EQ(pod.ports[0].protocol, 6);
  EXPECT_EQ(pod.ports[1].protocol, 17);
  EXPECT_EQ(pod.ports[2].number, 15001);
  EXPECT_EQ(world.skipped, (std::map<std::string, std::size_t>{{"v1/Service", 1}}));
}

TEST(Load, ReadsANetworkPolicyWithItsDefaults) {
  const Loaded loaded = load_text(kShop);
  ASSERT_EQ(loaded.snapshot.policies.size(), 1U);
  const NetworkPolicy& policy = loaded.snapshot.policies[0];
  EXPECT_EQ(policy.name_space, "shop");
  EXPECT_TRUE(policy.isolates_ingress);
  EXPECT_FALSE(policy.isolates_egress);
  ASSERT_EQ(policy.subjects.requirements.size(), 1U);
  EXPECT_EQ(policy.subjects.requirements[0].values, (std::vector<std::string>{"web"}));
  ASSERT_EQ(policy.ingress.size(), 1U);
  const PolicyRule& rule = policy.ingress[0];
  EXPECT_EQ(to_string(rule.where), "m.yaml:50:5");
  ASSERT_EQ(rule.peers.size(), 2U);
  const auto& pods = std::get<PodPeer>(rule.peers[0]);
  ASSERT_TRUE(pods.namespaces);
  EXPECT_EQ(pods.namespaces->requirements[0].op, Requirement::Operator::not_in);
  EXPECT_TRUE(pods.pods.requirements.empty());
  const auto& block = std::get<classifier::Block>(rule.peers[1]);
  EXPECT_EQ(to_string(block.cidr), "10.0.0.0/8");
  ASSERT_EQ(block.except.size(), 1U);
  ASSERT_EQ(rule.ports.size(), 3U);
  EXPECT_EQ(rule.ports[0].name, "http");
  EXPECT_FALSE(rule.ports[0].first);
  EXPECT_EQ(rule.ports[1].first, 8000);
  EXPECT_EQ(rule.ports[1].last, 8080);
  EXPECT_EQ(rule.ports[1].protocol, 17);
  EXPECT_EQ(rule.ports[2].protocol, 6);
  EXPECT_TRUE(rule.ports[2].name.empty());
  EXPECT_FALSE(rule.ports[2].first);
}

TEST(Load, NamesBothPlacesOfAnObjectDefinedTwice) {
  const std::string text = "{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n";
  const std::vector<Manifest> manifests = {{"one.yaml", text}, {"two.yaml", "---\n" + text}};
  const Loaded loaded = load(manifests);
  EXPECT_EQ(complaints(loaded),
            "two.yaml:2:1: error: Namespace a: metadata.name: Duplicate value: \"a\": defined "
            "already at one.yaml:1:1\n");
}

TEST(Load, WarnsOfPodsInNamespacesThatNobodyDeclares) {
  const Loaded loaded = load_text(
      "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: b}}\n---\n"
      "{apiVersion: v1, kind: Pod, metadata: {name: c, namespace: b}}\n");
  EXPECT_TRUE(loaded.ok());
  EXPECT_EQ(complaints(loaded),
            "m.yaml:1:1: warning: Pod b/a: metadata.namespace: namespace \"b\" is in no manifest: "
            "it counts as one without labels\n");
}

TEST(Load, WarnsOfAManifestWithoutObjects) {
  for (const char* text : {"", "# nothing\n", "---\n---\n", "null\n", "\xef\xbb\xbf"}) {
    const Loaded loaded = load_text(text);
    EXPECT_TRUE(loaded.ok());
    EXPECT_EQ(complaints(loaded), "m.yaml:1:1: warning: no object in this manifest\n") << text;
  }
}

TEST(Load, SortsObjectsWhateverTheirOrder) {
  const Loaded loaded = load_text(
      "{apiVersion: v1, kind: Namespace, metadata: {name: b}}\n---\n"
      "{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n");
  ASSERT_EQ(loaded.snapshot.namespaces.size(), 2U);
  EXPECT_EQ(loaded.snapshot.namespaces[0].name, "a");
}

TEST(Load, StopsAtAThousandErrors) {
  std::string text;
  for (int i = 0; i < 2000; ++i) {
    text += "---\n{apiVersion: v1}\n";
  }
  const Loaded loaded = load_text(text);
  EXPECT_EQ(loaded.diagnostics.size(), 1001U);
  EXPECT_EQ(loaded.diagnostics.back().message, "too many errors: the rest is not shown");
}

TEST(DigestOfSnapshot, IgnoresOrderAndPlaces) {
  const std::string shop(kShop);
  const auto cut = shop.find("---\n");
  const std::string turned = "# Moved.\n" + shop.substr(cut + 4) + "---\n" + shop.substr(0, cut);
  EXPECT_EQ(digest(load_text(shop).snapshot), digest(load_text(turned, "other.yaml").snapshot));
}

TEST(DigestOfSnapshot, DependsOnEveryFieldThatDecides) {
  const std::string shop(kShop);
  const std::string before = digest(load_text(shop).snapshot);
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"team: blue", "team: green"},
           {"zone: a", "zone: b"},
           {"192.168.0.1}", "192.168.0.2}"},
           {"\"fd00::/64\"]", "\"fd01::/64\"]"},
           {"name: web\n  namespace", "name: wob\n  namespace"},
           {"b\": \"1\"", "b\": \"2\""},
           {"nodeName: n1", "nodeName: n2"},
           {"nodeName: n1", "hostNetwork: true"},
           {"containerPort: 8080", "containerPort: 8081"},
           {"name: http,", "name: htto,"},
           {"protocol: UDP}\n  init", "protocol: TCP}\n  init"},
           {"phase: Running", "phase: Failed"},
           {"ip: \"fd00::5\"", "ip: \"fd00::6\""},
           {"hostIP: 192.168.0.1", "hostIP: 192.168.0.3"},
           {"{app: web}}\n", "{app: wob}}\n"},
           {"ingress:", "policyTypes: [Egress]\n  ingress:"},
           {"NotIn", "In"},
           {"values: [red]", "values: [rad]"},
           {"- podSelector: {}\n      namespace", "- namespace"},
           {"10.0.0.0/8, ex", "10.0.0.0/9, ex"},
           {"10.1.0.0/16", "10.2.0.0/16"},
           {"port: http", "port: htto"},
           {"port: 8000", "port: 8001"},
           {"endPort: 8080", "endPort: 8081"},
           {"    - {}\n", ""}}) {
    std::string changed = shop;
    ASSERT_NE(changed.find(from), std::string::npos) << from;
    changed.replace(changed.find(from), from.size(), to);
    const Loaded loaded = load_text(changed);
    ASSERT_TRUE(loaded.ok()) << complaints(loaded);
    const bool same_meaning = to == "- namespace";  // An absent podSelector is an empty one.
    EXPECT_EQ(digest(loaded.snapshot) == before, same_meaning) << from << " -> " << to;
  }
}

/// A directory that goes away.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "manifests.XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string write(const std::string& name, std::string_view text) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
    return file.string();
  }
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

TEST(ReadManifests, TakesFilesAsGivenAndDirectoriesSorted) {
  const Folder folder;
  const std::string odd = folder.write("odd.txt", "odd");
  const std::string b = folder.write("b.yaml", "b");
  const std::string a = folder.write("sub/a.json", "a");
  const std::string c = folder.write("c.yml", "c");
  (void)folder.write("..hidden/b.yaml", "twice");
  (void)folder.write(".b.yaml.swp.yaml", "twice");
  const std::vector<std::string> paths = {odd, folder.path()};
  const auto manifests = read_manifests(paths);
  ASSERT_TRUE(manifests) << to_string(manifests.error());
  std::vector<std::string> names;
  for (const Manifest& manifest : *manifests) {
    names.push_back(manifest.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{odd, b, c, a}));
  EXPECT_EQ(manifests->back().text, "a");
}

TEST(ReadManifests, RefusesWhatIsNotThere) {
  const Folder folder;
  for (const std::string& path : {folder.path(), folder.path() + "/none.yaml"}) {
    const auto manifests = read_manifests({&path, 1});
    ASSERT_FALSE(manifests) << path;
    EXPECT_EQ(manifests.error().where, path);
  }
}

}  // namespace
}  // namespace portcullis::policy
