// SPDX-License-Identifier: MIT
#include "policy/manifest/validate.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace portcullis::policy {
namespace {

TEST(Validate, KnowsDnsLabels) {
  for (const std::string_view good : {"a", "0", "a-b", "a0"}) {
    EXPECT_TRUE(objections_to_dns_label(good).empty()) << good;
  }
  for (const std::string_view bad : {"", "-", "a-", "-a", "A", "a_b", "a.b", "a b", "\xc3\xa4"}) {
    EXPECT_FALSE(objections_to_dns_label(bad).empty()) << bad;
  }
  EXPECT_TRUE(objections_to_dns_label(std::string(63, 'a')).empty());
  EXPECT_FALSE(objections_to_dns_label(std::string(64, 'a')).empty());
}

TEST(Validate, KnowsDnsSubdomains) {
  for (const std::string_view good : {"a", "a.b", "0.1", "a-b.c-d"}) {
    EXPECT_TRUE(objections_to_dns_subdomain(good).empty()) << good;
  }
  for (const std::string_view bad : {"", ".", "a.", ".a", "a..b", "a.-b", "A.b", "a_b"}) {
    EXPECT_FALSE(objections_to_dns_subdomain(bad).empty()) << bad;
  }
  EXPECT_TRUE(objections_to_dns_subdomain(std::string(253, 'a')).empty());
  EXPECT_FALSE(objections_to_dns_subdomain(std::string(254, 'a')).empty());
}

TEST(Validate, KnowsLabelKeysAndValues) {
  for (const std::string_view good : {"a", "A", "a.b/c", "a_b-c.d", "example.com/X_1"}) {
    EXPECT_TRUE(objections_to_label_key(good).empty()) << good;
  }
  for (const std::string_view bad : {"", "/", "a/", "/a", "a/b/c", "A.b/c", "-a", "a-", "a b"}) {
    EXPECT_FALSE(objections_to_label_key(bad).empty()) << bad;
  }
  EXPECT_TRUE(objections_to_label_key("a/" + std::string(63, 'x')).empty());
  EXPECT_FALSE(objections_to_label_key("a/" + std::string(64, 'x')).empty());
  for (const std::string_view good : {"", "a", "A_b-c.1"}) {
    EXPECT_TRUE(objections_to_label_value(good).empty()) << good;
  }
  for (const std::string_view bad : {"-", "a-", ".a", "a/b", "a b"}) {
    EXPECT_FALSE(objections_to_label_value(bad).empty()) << bad;
  }
}

TEST(Validate, KnowsPorts) {
  for (const std::string_view good : {"a", "http", "1a", "a-1", "abcdefghijklmno"}) {
    EXPECT_TRUE(objections_to_port_name(good).empty()) << good;
  }
  for (const std::string_view bad :
       {"", "80", "a--b", "-a", "a-", "A", "a_b", "abcdefghijklmnop"}) {
    EXPECT_FALSE(objections_to_port_name(bad).empty()) << bad;
  }
  EXPECT_TRUE(objections_to_port_number(1).empty());
  EXPECT_TRUE(objections_to_port_number(65535).empty());
  EXPECT_FALSE(objections_to_port_number(0).empty());
  EXPECT_FALSE(objections_to_port_number(65536).empty());
}

}  // namespace
}  // namespace portcullis::policy
