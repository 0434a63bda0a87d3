// SPDX-License-Identifier: MIT
#include "policy/edit.h"

#include <gtest/gtest.h>

#include "policy/digest.h"
#include "policy/world.h"

namespace portcullis::policy {
namespace {

constexpr const char* kPod =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: web-0, namespace: shop, labels: {app: web}}\n"
    "status: {podIP: 10.0.0.1}\n";
constexpr const char* kOther =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: web-1, namespace: shop, labels: {app: web}}\n"
    "status: {podIP: 10.0.0.2}\n";
constexpr const char* kPolicy =
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
    "metadata: {name: db, namespace: shop}\nspec: {podSelector: {}}\n";

Step writing(const char* words, const std::string& text) {
  const auto [kind, verb] = parse_step(words).value();
  return {.kind = kind, .verb = verb, .manifests = {{"file.yaml", text}}};
}

Step removing(const char* words, const std::string& name) {
  const auto [kind, verb] = parse_step(words).value();
  return {.kind = kind, .verb = verb, .names = {name}};
}

std::string refusal_of(const Step& step) {
  const auto edits = edits_of(std::span(&step, 1));
  return edits ? "" : to_string(edits.error().front());
}

std::vector<Edit> edits(const std::vector<Step>& steps) {
  return edits_of(steps).value();
}

TEST(Edit, ReadsStepsInTheirOrder) {
  const auto read = edits({writing("pod.add", std::string(kPod) + "---\n" + kOther),
                           removing("policy.remove", "shop/db")});
  ASSERT_EQ(read.size(), 3U);
  EXPECT_EQ(title(read[0].kind, read[0].key), "Pod shop/web-0");
  EXPECT_EQ(read[1].verb, Verb::add);
  EXPECT_EQ(read[1].pod->addresses.size(), 1U);
  EXPECT_EQ(title(read[2].kind, read[2].key), "NetworkPolicy shop/db");
  EXPECT_EQ(read[2].verb, Verb::remove);
}

TEST(Edit, KnowsItsWords) {
  for (const char* const words :
       {"pod.add", "pod.set", "pod.remove", "policy.add", "policy.set", "policy.remove"}) {
    const auto parsed = parse_step(words);
    ASSERT_TRUE(parsed) << words;
    EXPECT_EQ(to_string(parsed->first, parsed->second), words);
  }
  EXPECT_FALSE(parse_step("pod.delete"));
}

TEST(Edit, SaysWhatIsWrongAndWhere) {
  EXPECT_EQ(refusal_of(writing("pod.set", kPolicy)),
            "file.yaml:1:1: error: pod.set: takes objects of kind Pod, not NetworkPolicy: leave it "
            "out, or commit the whole");
  EXPECT_EQ(refusal_of(removing("pod.remove", "web-0")),
            ": error: pod.remove: \"web-0\" is not namespace/name");
  for (const char* const name : {"", "/", "shop/", "/web", "a/b/c"}) {
    EXPECT_NE(refusal_of(removing("pod.remove", name)), "") << name;
  }
  EXPECT_EQ(refusal_of(removing("pod.remove", std::string(1000, 'x'))),
            ": error: pod.remove: a text of 1000 bytes is not namespace/name");
  EXPECT_NE(refusal_of(writing("pod.set", "kind: [")).find("file.yaml"), std::string::npos);
  EXPECT_NE(refusal_of(writing("pod.set", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n")),
            "");
}

class Worlds : public testing::Test {
 protected:
  const std::vector<Manifest> manifests_{{"a.yaml", kPod}, {"b.yaml", kPolicy}};
  const std::shared_ptr<const Snapshot> base_ =
      std::make_shared<const Snapshot>(load(manifests_).snapshot);
  World world_{base_};
};

TEST_F(Worlds, AreWhatTheyBeganWithUntilSomethingChanges) {
  EXPECT_EQ(world_.snapshot(), base_);
  EXPECT_EQ(world_.pods(), 1U);
  EXPECT_EQ(world_.policies(), 1U);
}

TEST_F(Worlds, TakeEditsAndGiveThemBack) {
  const auto changed = world_.apply(edits({writing("pod.add", kOther),
                                           removing("pod.remove", "shop/web-0"),
                                           removing("policy.remove", "shop/db")}));
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->pods.size(), 2U);
  const auto now = world_.snapshot();
  ASSERT_EQ(now->pods.size(), 1U);
  EXPECT_EQ(now->pods[0].name, "web-1");
  EXPECT_TRUE(now->policies.empty());
  EXPECT_EQ(world_.pods(), 1U);
  EXPECT_EQ(world_.policies(), 0U);
  world_.take_back(*changed);
  EXPECT_EQ(digest(*world_.snapshot()), digest(*base_));
  EXPECT_EQ(world_.policies(), 1U);
}

TEST_F(Worlds, TakeAllOrNothing) {
  const auto refused =
      world_.apply(edits({writing("pod.add", kOther), removing("pod.remove", "shop/nobody")}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "there is no Pod shop/nobody");
  EXPECT_EQ(digest(*world_.snapshot()), digest(*base_));
  const auto twice = world_.apply(edits({writing("pod.add", kPod)}));
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().message, "Pod shop/web-0 is there already: pod.set replaces it");
}

TEST_F(Worlds, SeeEachEditAfterTheOneAheadOfIt) {
  const auto changed = world_.apply(edits({removing("pod.remove", "shop/web-0"),
                                           writing("pod.add", kPod),
                                           writing("pod.add", kOther),
                                           removing("pod.remove", "shop/web-1")}));
  ASSERT_TRUE(changed);
  // web-1 came and went; web-0 is another object with the same content.
  ASSERT_EQ(changed->pods.size(), 1U);
  EXPECT_EQ(digest(*world_.snapshot()), digest(*base_));
}

TEST_F(Worlds, AreLenientOnRequest) {
  EXPECT_TRUE(world_.apply(edits({writing("pod.add", kPod), removing("pod.remove", "shop/x")}),
                           Strictness::lenient));
}

TEST(ContentDigest, FollowsObjectsWhateverTheirOrder) {
  const std::vector<Manifest> one{{"a.yaml", kPod}};
  const std::vector<Manifest> both{{"b.yaml", kOther}, {"a.yaml", kPod}};
  const Snapshot small = load(one).snapshot;
  const Snapshot large = load(both).snapshot;
  ContentDigest digest_of_small(small);
  EXPECT_EQ(digest_of_small.text(), digest(small));
  digest_of_small.add(large.pods[1]);
  EXPECT_EQ(digest_of_small.text(), digest(large));
  digest_of_small.remove(large.pods[1]);
  EXPECT_EQ(digest_of_small.text(), digest(small));
}

}  // namespace
}  // namespace portcullis::policy
