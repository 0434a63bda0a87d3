// SPDX-License-Identifier: MIT
#include "config/rule_words.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "config/suggest.h"

namespace portcullis::config {
namespace {

struct Word {
  std::string_view name;
  std::uint8_t value;
};
/// IANA protocol numbers.
constexpr std::array<Word, 8> kProtocols{{{"tcp", 6},
                                          {"udp", 17},
                                          {"sctp", 132},
                                          {"icmp", 1},
                                          {"icmpv6", 58},
                                          {"gre", 47},
                                          {"esp", 50},
                                          {"ah", 51}}};
/// RFC 9293, 3.1.
constexpr std::array<Word, 8> kFlags{{{"fin", 0x01},
                                      {"syn", 0x02},
                                      {"rst", 0x04},
                                      {"psh", 0x08},
                                      {"ack", 0x10},
                                      {"urg", 0x20},
                                      {"ece", 0x40},
                                      {"cwr", 0x80}}};

std::vector<std::string> names_of(std::span<const Word> words) {
  std::vector<std::string> names;
  std::ranges::transform(
      words, std::back_inserter(names), [](const Word& word) { return std::string(word.name); });
  return names;
}

std::optional<std::uint32_t> number_of(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty()
             ? std::optional(number)
             : std::nullopt;
}

}  // namespace

Result<std::uint8_t> parse_protocol(std::string_view text) {
  const auto* found = std::ranges::find(kProtocols, text, &Word::name);
  if (found != kProtocols.end()) {
    return found->value;
  }
  if (const auto number = number_of(text); number && *number <= 255) {
    return static_cast<std::uint8_t>(*number);
  }
  const auto names = names_of(kProtocols);
  return fail(fmt::format("'{}' is no protocol{}; write one of {}, or a number 0 to 255",
                          text,
                          did_you_mean(text, names),
                          fmt::join(names, ", ")));
}

Result<NumberRange> parse_ports(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = number_of(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : number_of(text.substr(dash + 1));
  if (!first || !last || *first > 65'535 || *last > 65'535) {
    return fail(fmt::format(
        "'{}' is no port; write one as \"443\" or a range as \"8000-8099\", 0 to 65535", text));
  }
  if (*first > *last) {
    return fail(fmt::format("'{}' ends ahead of its begin; write \"{}-{}\"", text, *last, *first));
  }
  return NumberRange{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)};
}

Result<MaskedFlags> parse_tcp_flags(std::string_view text) {
  std::uint8_t value = 0;
  std::uint8_t mask = 0;
  const std::string_view whole = text;
  while (!text.empty()) {
    const std::size_t space = std::min(text.find(' '), text.size());
    std::string_view word = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    if (word.empty()) {
      continue;
    }
    const bool unset = word.front() == '!';
    word.remove_prefix(unset ? 1 : 0);
    const auto* found = std::ranges::find(kFlags, word, &Word::name);
    if (found == kFlags.end()) {
      const auto names = names_of(kFlags);
      return fail(fmt::format("'{}' is no TCP flag{}; they are {}, with a ! if it must not be set",
                              word,
                              did_you_mean(word, names),
                              fmt::join(names, ", ")));
    }
    if ((mask & found->value) != 0) {
      return fail(fmt::format("'{}' names {} twice", whole, word));
    }
    mask = static_cast<std::uint8_t>(mask | found->value);
    value = static_cast<std::uint8_t>(value | (unset ? 0 : found->value));
  }
  if (mask == 0) {
    return fail("names no TCP flag; leave the key out if any will do");
  }
  return MaskedFlags{value, mask};
}

}  // namespace portcullis::config
