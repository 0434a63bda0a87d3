// SPDX-License-Identifier: MIT
// YAML as Kubernetes reads it: what plain words mean, where values stand, and what a stranger may
// not send.
#include "policy/manifest/yaml.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/resource.h>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "policy/manifest/scalar.h"
#include "tests/policy/load.h"

namespace portcullis::policy {
namespace {

using Kind = Value::Kind;

std::string repeat(std::string_view text, std::size_t times) {
  std::string out;
  out.reserve(text.size() * times);
  for (std::size_t i = 0; i < times; ++i) {
    out += text;
  }
  return out;
}

TEST(ResolvePlain, ReadsWordsAsGoYamlDoes) {
  const std::vector<std::pair<Kind, std::vector<std::string_view>>> cases = {
      {Kind::null, {"", "~", "null", "Null", "NULL"}},
      {Kind::boolean, {"yes", "Yes", "YES", "no", "NO", "on", "On", "off", "OFF", "true", "False"}},
      {Kind::integer,
       {"0",
        "1",
        "-1",
        "+1",
        "0x1F",
        "-0xa",
        "0o17",
        "017",
        "0b101",
        "1_000",
        "99999999999999999999"}},
      {Kind::floating,
       {"1.0", ".5", "5.", "-1.5e3", "1e3", "+.5E-1", "08", ".inf", "-.INF", ".nan", "1_0.5"}},
      {Kind::string, {"y",  "Y",  "n",     "nUll",       "yEs",        "tRue", "a",   "-",  "+",
                      ".",  "..", "1.2.3", "10.0.0.0/8", "2026-01-01", "0x",   "0xg", "1e", "1:30",
                      "_1", "~a", "nan",   "-a",         "e3",         "1-2",  "::1"}},
  };
  for (const auto& [kind, texts] : cases) {
    for (const std::string_view text : texts) {
      EXPECT_EQ(resolve_plain(text), kind) << "'" << text << "'";
    }
  }
}

TEST(Value, GivesTheNumbersOfAllNotations) {
  for (const auto& [text, number] :
       std::vector<std::pair<std::string, std::int64_t>>{{"80", 80},
                                                         {"+80", 80},
                                                         {"-80", -80},
                                                         {"0x50", 80},
                                                         {"0o120", 80},
                                                         {"0120", 80},
                                                         {"0b1010000", 80},
                                                         {"8_0", 80},
                                                         {"0", 0}}) {
    Tree tree;
    ASSERT_FALSE(read_yaml(text, tree));
    EXPECT_EQ(tree.documents.at(0)->integer(), number) << text;
  }
  Tree tree;
  ASSERT_FALSE(read_yaml("99999999999999999999", tree));
  EXPECT_FALSE(tree.documents.at(0)->integer());
}

TEST(ReadYaml, KeepsLineAndColumnOfEveryValue) {
  Tree tree;
  ASSERT_FALSE(read_yaml("# c\na:\n  - b: \"x\"\n    \xc3\xa4: {k: [1, yes]}\n---\nz\n", tree));
  ASSERT_EQ(tree.documents.size(), 2U);
  const Value& root = *tree.documents[0];
  const auto at = [](const Value& value) { return std::pair(value.mark.line, value.mark.column); };
  EXPECT_EQ(at(root), std::pair(2U, 1U));
  const Value& item = *find(root, "a")->child();
  EXPECT_EQ(at(item), std::pair(3U, 5U));
  EXPECT_EQ(at(*find(item, "b")), std::pair(3U, 8U));
  EXPECT_EQ(find(item, "b")->kind, Kind::string);
  const Value& inner = *find(item, "\xc3\xa4");
  EXPECT_EQ(at(inner), std::pair(4U, 8U));
  EXPECT_EQ(at(*find(inner, "k")->child()->next), std::pair(4U, 16U));
  EXPECT_EQ(at(*tree.documents[1]), std::pair(6U, 1U));
}

TEST(ReadYaml, SharesWhatAliasesStandFor) {
  Tree tree;
  ASSERT_FALSE(read_yaml("a: &x {k: v}\nb: *x\nc: &y 5\nd: [*y, *x]\n", tree));
  const Value& root = *tree.documents.at(0);
  EXPECT_EQ(find(*find(root, "b"), "k")->text(), "v");
  EXPECT_EQ(find(root, "d")->child()->integer(), 5);
  EXPECT_EQ(find(root, "d")->size, 2U);
}

TEST(ReadYaml, HonoursTheTagsOfTheCoreAndRefusesOthers) {
  Tree tree;
  ASSERT_FALSE(read_yaml("[!!str 1, ! yes, !!int 5, !!map {}, !!seq []]", tree));
  EXPECT_EQ(tree.documents.at(0)->child()->kind, Kind::string);
  EXPECT_EQ(tree.documents.at(0)->child()->next->kind, Kind::string);
  for (const char* text : {"!foo a", "!!binary aGk=", "!!int a", "!foo {}", "!!set {a}"}) {
    Tree other;
    EXPECT_TRUE(read_yaml(text, other)) << text;
  }
}

struct Hostile {
  std::string name;
  std::string text;
  std::string expected;  // Part of "LINE:COLUMN: error: ..."; one error and nothing else.
};

std::vector<Hostile> malformed() {
  return {
      {"undefined alias", "a: *b\n", "1:4: error: a: alias *b has no anchor &b before it"},
      {"alias of itself", "a: &a [*a]", "1:8: error: a[0]: alias *a lies inside the value"},
      {"merge key", "a: &a {x: 1}\nb:\n  <<: *a\n", "3:3: error: b: merge keys (<<) are not"},
      {"list as key", "? [a]\n: b\n", "1:3: error: a key must be a plain word or a string"},
      {"null key", "? \n: b\n", "a key is missing before ':'"},
      {"tab", "a:\n\tb: c\n", "2:1: error: found character that cannot start any token"},
      {"truncated map", "a: 1\nb: {c: d", "2:9: error: did not find expected ',' or '}'"},
      {"truncated string", "a: \"bc\n", "2:1: error: found unexpected end of stream"},
      {"truncated JSON", "{\"a\": [1,", "1:10: error: the text ends inside the array of line 1"},
      {"NUL", std::string("a: b\0c", 6), "1:5: error: byte 0x00 cannot stand in a manifest"},
      {"broken UTF-8", "a: b\nc: \xff", "2:4: error: byte 0xff"},
      {"overlong UTF-8", "a: \xc0\xaf", "1:4: error: byte 0xc0"},
      {"surrogate in UTF-8", "a: \xed\xa0\x80", "1:4: error: byte 0xed"},
      {"cut UTF-8", "a: \xe2\x82", "1:4: error: byte 0xe2"},
      {"UTF-16", std::string("\xff\xfe\x61\x00", 4), "1:1: error: byte 0xff"},
      {"ELF",
       "\x7f"
       "ELF",
       "1:1: error: byte 0x7f"},
  };
}

TEST(HostileYaml, GetsOneClearErrorWithItsPlace) {
  for (const Hostile& c : malformed()) {
    const Loaded loaded = load_text(c.text);
    EXPECT_EQ(loaded.diagnostics.size(), 1U) << c.name << "\n" << complaints(loaded);
    EXPECT_NE(complaints(loaded).find(c.expected), std::string::npos) << c.name << "\n"
                                                                      << complaints(loaded);
  }
}

std::string alias_bomb() {
  std::string out = "a: &a [x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c <= 'z'; ++c) {
    const std::string before(1, static_cast<char>(c - 1));
    out += std::string(1, c) + ": &" + c + " [" + repeat("*" + before + ",", 9) + "]\n";
  }
  return out;
}

std::string many_anchors() {
  std::string out;
  for (int i = 0; i < 20'000; ++i) {
    out += "- &a" + std::to_string(i) + " a\n";
  }
  return out;
}

/// A large text: head, a part many times over, tail.
struct Bomb {
  std::string name;
  std::string head;
  std::string part;
  std::size_t times;
  std::string tail;
  std::string expected;
};

std::vector<Bomb> bombs() {
  const std::string deep = "nested more than 100 levels deep";
  const std::string expanded = "aliases expand to more than 100000 values";
  const std::string long_value = "the limit is 1048576";
  const std::string wide = "values in one manifest: split it";
  const std::string nested(100'000, ']');
  return {
      {"flow nest", "", "[", 100'000, "", deep},
      {"closed flow nest", "", "[", 100'000, nested, deep},
      {"flow map nest", "", "{a: ", 100'000, "", deep},
      {"JSON nest", "", "{\"a\":", 100'000, "1", deep},
      {"block list nest", "", "- ", 100'000, "a", deep},
      {"ten million brackets", "", "[", 10'000'000, "", deep},
      {"alias bomb", alias_bomb(), "", 0, "", expanded},
      {"wide alias bomb",
       "a: &a [" + repeat("x,", 50'000) + "]\nb: [",
       "*a,",
       50'000,
       "]",
       expanded},
      {"anchors", many_anchors(), "", 0, "", "more than 10000 anchors"},
      {"plain scalar of 10 MB", "a: ", "x", 10'000'000, "", long_value},
      {"quoted scalar of 10 MB", "a: \"", "x", 10'000'000, "\"", long_value},
      {"block scalar of 10 MB", "a: |\n", " xxxxxxxxxxxxxxx\n", 600'000, "", long_value},
      {"JSON string of 10 MB", "{\"a\": \"", "x", 10'000'000, "\"}", long_value},
      {"key of 10 MB", "", "x", 10'000'000, ": 1", long_value},
      {"blank lines in a scalar", "a: b", "\n", 10'000'000, " c", long_value},
      {"ten million values", "[", "1,", 10'000'000, "1]", wide},
      {"dashes", "", "-\n", 5'000'000, "", wide},
      {"keys without end", "", "? ", 100'000, "", "a key must be a plain word"},
      {"colons", "", "a: ", 1'000'000, "", "mapping values are not allowed"},
      {"TAG directives", "", "%TAG !a! tag:x\n", 100'000, "", "too many %TAG directives"},
      {"binary", "", std::string("\x00\x01\xfe\xff", 4), 1'000'000, "", "byte 0x00"},
      {"duplicate keys", "{", "a: 1,", 300'000, "}", "duplicate field \"a\""},
  };
}

TEST(HostileYaml, IsRefusedInBoundedTimeAndMemory) {
  for (const Bomb& c : bombs()) {
    const Manifest manifest{"m.yaml", c.head + repeat(c.part, c.times) + c.tail};
    const auto start = std::chrono::steady_clock::now();
    const Loaded loaded = load({&manifest, 1});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    EXPECT_FALSE(loaded.ok()) << c.name;
    EXPECT_LE(loaded.diagnostics.size(), 3U) << c.name;
    const std::string said = complaints(loaded);
    EXPECT_NE(said.find(c.expected), std::string::npos) << c.name << "\n" << said;
    EXPECT_LT(said.size(), 2000U) << c.name;
    // The bound that users are promised is 2 s; a sanitizer on a busy machine may need more.
    EXPECT_LT(took.count(), 20.0) << c.name;
  }
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  EXPECT_LT(usage.ru_maxrss, 256L << 10) << "KiB at most, of this whole test";
#endif
}

TEST(ReadYaml, IsFastOnADumpOfPods) {
  std::string text = "apiVersion: v1\nkind: List\nitems:\n";
  for (int i = 0; text.size() < 20'000'000; ++i) {
    text +=
        "- apiVersion: v1\n  kind: Pod\n  metadata:\n    creationTimestamp: "
        "\"2026-01-01T00:00:00Z\"\n"
        "    labels:\n      app: web\n      tier: frontend\n    name: web-" +
        std::to_string(i) +
        "\n    namespace: shop\n  spec:\n    containers:\n    - image: "
        "registry.example.com/web:1.2.3\n"
        "      name: web\n      ports:\n      - containerPort: 8080\n        name: http\n"
        "        protocol: TCP\n      resources: {}\n    nodeName: node-1\n  status:\n"
        "    phase: Running\n    podIP: 10.0.0.1\n    podIPs:\n    - ip: 10.0.0.1\n";
  }
  const auto start = std::chrono::steady_clock::now();
  const Loaded loaded = load_text(text);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  EXPECT_TRUE(loaded.ok());
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%zu pods, %.0f MB in %.2f s: %.0f MB/s, peak %ld MB\n",
              loaded.snapshot.pods.size(),
              static_cast<double>(text.size()) / 1e6,
              took.count(),
              static_cast<double>(text.size()) / 1e6 / took.count(),
              usage.ru_maxrss >> 10);
}

}  // namespace
}  // namespace portcullis::policy
