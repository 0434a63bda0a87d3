// SPDX-License-Identifier: MIT
#include "policy/manifest/json.h"

#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "tests/policy/load.h"

namespace portcullis::policy {
namespace {

using Kind = Value::Kind;

TEST(ReadJson, ReadsWhatYamlDoesNot) {
  const std::string text =
      "{\t\"a\"\t:\"\\/"
      "\\ud83d\\uDE00\\u00e9\\n\",\n\t\"b\"\n\t\t:[true,null,-1,1.5e3]}\n{\"c\":\"\\ud83d!\"}";
  Tree tree;
  ASSERT_FALSE(read_json(text, tree));
  ASSERT_EQ(tree.documents.size(), 2U);
  EXPECT_EQ(find(*tree.documents[0], "a")->text(), "/\xf0\x9f\x98\x80\xc3\xa9\n");
  const Value* item = find(*tree.documents[0], "b")->child();
  EXPECT_EQ(std::pair(item->mark.line, item->mark.column), std::pair(3U, 5U));
  EXPECT_TRUE(item->boolean());
  EXPECT_EQ(item->next->kind, Kind::null);
  EXPECT_EQ(item->next->next->integer(), -1);
  EXPECT_EQ(item->next->next->next->kind, Kind::floating);
  EXPECT_EQ(find(*tree.documents[1], "c")->text(), "\xef\xbf\xbd!");
}

TEST(ReadJson, CountsColumnsInCharacters) {
  const std::string text = "[\"\xc3\xa4\xc3\xb6\",\n 1, \"\xe2\x82\xac\", 2]";
  Tree tree;
  ASSERT_FALSE(read_json(text, tree));
  const Value* last = tree.documents[0]->child()->next->next->next;
  EXPECT_EQ(std::pair(last->mark.line, last->mark.column), std::pair(2U, 10U));
}

TEST(ReadJson, RefusesWhatIsNoJson) {
  for (const std::string_view text :
       {"{",          "[1,]",  "{\"a\":1,}", "{\"a\"}", "{a:1}", "[01]",      "[1.]",
        "[-]",        "[.5]",  "[1e]",       "[tru]",   "[\"a]", "[\"\\x\"]", "[\"\\u12g4\"]",
        "[\"a\nb\"]", "[1 2]", "[}",         "{]",      "[1]]",  "nul"}) {
    Tree tree;
    EXPECT_TRUE(read_json(text, tree)) << text;
  }
}

TEST(ReadJson, NotesKeysGivenTwice) {
  const Loaded loaded = load_text(
      "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\",\n \"metadata\": {\"name\": \"a\",\n"
      "\"name\": \"b\"}}");
  ASSERT_EQ(loaded.diagnostics.size(), 1U) << complaints(loaded);
  EXPECT_EQ(
      complaints(loaded),
      "m.yaml:3:1: error: metadata.name: duplicate field \"name\", already set at line 2: only "
      "one of them would count\n");
}

TEST(Load, ReadsYamlThatBeginsLikeJson) {
  const Loaded loaded = load_text(
      "{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n---\napiVersion: v1\n"
      "kind: Namespace\nmetadata: {name: b}\n");
  EXPECT_EQ(complaints(loaded), "");
  EXPECT_EQ(loaded.snapshot.namespaces.size(), 2U);
}

}  // namespace
}  // namespace portcullis::policy
