// SPDX-License-Identifier: MIT
#include "config/non_ip_words.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "config/suggest.h"

namespace portcullis::config {
namespace {

struct Word {
  std::string_view name;
  NumberRange types;
};
/// IEEE 802 numbers. Spanning tree has no EtherType: kNonIpStp stands for it.
constexpr std::array<Word, 6> kWords{{{"arp", {0x0806, 0x0806}},
                                      {"lldp", {0x88cc, 0x88cc}},
                                      {"stp", {kNonIpStp, kNonIpStp}},
                                      {"lacp", {0x8809, 0x8809}},
                                      {"eapol", {0x888e, 0x888e}},
                                      {"mpls", {0x8847, 0x8848}}}};
/// Tags that vendors have put in front of EtherTypes, beside those that are walked.
constexpr std::array<std::uint16_t, 7> kTags{
    0x8100, 0x88a8, 0x9100, 0x9200, 0x9300, 0x893f, 0x8926};
/// MPLS, PPP over Ethernet, Ethernet in GRE's way, MACsec, MAC in MAC, NSH, TRILL, PPP.
constexpr std::array<std::uint16_t, 9> kCarriers{
    0x8847, 0x8848, 0x8864, 0x6558, 0x88e5, 0x88e7, 0x894f, 0x22f3, 0x880b};
constexpr std::uint16_t kEtherTypeMin = 0x0600;

std::optional<std::uint32_t> number_of(std::string_view text) {
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  const std::string_view digits = hex ? text.substr(2) : text;
  std::uint32_t number = 0;
  const char* const last = digits.data() + digits.size();
  const auto [end, error] = std::from_chars(digits.data(), last, number, hex ? 16 : 10);
  return error == std::errc{} && end == last && !digits.empty() ? std::optional(number)
                                                                : std::nullopt;
}

bool is_one_of(std::span<const std::uint16_t> types, const NumberRange& range) {
  return std::ranges::any_of(
      types, [&](std::uint16_t type) { return range.first <= type && type <= range.second; });
}

/// Why an EtherType may not be named; empty: it may.
std::string_view objection_to(std::uint32_t type) {
  if (type < kEtherTypeMin || type > 0xffff) {
    return "is no EtherType, which are 0x0600 to 0xffff; spanning tree, which has none, is \"stp\"";
  }
  if (type == 0x0800 || type == 0x86dd) {
    return "is IP, which the policies judge; it cannot be let through beside them";
  }
  const auto tag = static_cast<std::uint16_t>(type);
  if (is_one_of(kTags, {tag, tag})) {
    return "is a tag, behind which there may be IP; name the type behind it, a tagged frame is "
           "judged by that";
  }
  return {};
}

}  // namespace

Result<NumberRange> parse_non_ip(std::string_view text) {
  const auto* const found = std::ranges::find(kWords, text, &Word::name);
  if (found != kWords.end()) {
    return found->types;
  }
  if (const auto number = number_of(text)) {
    if (const std::string_view objection = objection_to(*number); !objection.empty()) {
      return fail(fmt::format("0x{:04x} {}", *number, objection));
    }
    const auto type = static_cast<std::uint16_t>(*number);
    return NumberRange{type, type};
  }
  std::vector<std::string> names;
  for (const Word& word : kWords) {
    names.emplace_back(word.name);
  }
  return fail(
      fmt::format("'{}' is no protocol beside IP{}; write one of {}, or an EtherType as "
                  "0x88f7",
                  text,
                  did_you_mean(text, names),
                  fmt::join(names, ", ")));
}

std::string non_ip_name(const NumberRange& types) {
  const auto* const found = std::ranges::find(kWords, types, &Word::types);
  return found != kWords.end() ? std::string(found->name) : fmt::format("0x{:04x}", types.first);
}

bool carries_packets(const NumberRange& types) {
  return is_one_of(kCarriers, types);
}

}  // namespace portcullis::config
