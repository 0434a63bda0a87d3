// SPDX-License-Identifier: MIT
#include "policy/manifest/scalar.h"

#include <algorithm>
#include <array>
#include <string>

#include <fmt/format.h>

namespace portcullis::policy {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::size_t skip_digits(std::string_view text, std::size_t at) {
  while (at < text.size() && is_digit(text[at])) {
    ++at;
  }
  return at;
}

/// [0-9]+ in the base that its prefix names; underscores may stand anywhere.
bool is_integer(std::string_view text) {
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    text.remove_prefix(1);
  }
  if (text.empty()) {
    return false;
  }
  const char letter = text.size() > 1 && text[0] == '0' ? static_cast<char>(text[1] | 0x20) : ' ';
  std::string_view digits = "0123456789";
  if (letter == 'x') {
    digits = "0123456789abcdefABCDEF";
  } else if (letter == 'b') {
    digits = "01";
  } else if (text.size() > 1 && text[0] == '0') {
    digits = "01234567";
  }
  if (letter == 'x' || letter == 'b' || letter == 'o') {
    text.remove_prefix(2);
  }
  return !text.empty() && text.find_first_not_of(digits) == std::string_view::npos;
}

/// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
bool is_float(std::string_view text) {
  std::size_t at = !text.empty() && (text[0] == '+' || text[0] == '-') ? 1 : 0;
  const std::size_t whole_end = skip_digits(text, at);
  bool digits = whole_end > at;
  at = whole_end;
  if (at < text.size() && text[at] == '.') {
    const std::size_t fraction_end = skip_digits(text, at + 1);
    digits = digits || fraction_end > at + 1;
    at = fraction_end;
  }
  if (digits && at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    at += at < text.size() && (text[at] == '+' || text[at] == '-') ? 1 : 0;
    const std::size_t exponent_end = skip_digits(text, at);
    digits = exponent_end > at;
    at = exponent_end;
  }
  return digits && at == text.size();
}

/// Letters that are all small, all capital, or capital only in front, as YAML 1.1 lists its words.
bool is_word(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) {
    return false;
  }
  std::size_t capitals = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((text[i] | 0x20) != lower[i]) {
      return false;
    }
    capitals += text[i] != lower[i] ? 1 : 0;
  }
  return capitals == 0 || capitals == text.size() || (capitals == 1 && text[0] != lower[0]);
}

bool is_boolean(std::string_view text) {
  constexpr std::array<std::string_view, 6> kWords = {"yes", "no", "on", "off", "true", "false"};
  return std::any_of(
      kWords.begin(), kWords.end(), [text](std::string_view word) { return is_word(text, word); });
}

bool is_named_float(std::string_view text) {
  if (!text.empty() && (text[0] == '+' || text[0] == '-') && text != "+.nan") {
    text.remove_prefix(1);
    return text == ".inf" || text == ".Inf" || text == ".INF";
  }
  return text == ".inf" || text == ".Inf" || text == ".INF" || text == ".nan" || text == ".NaN" ||
         text == ".NAN";
}

/// Bytes of the UTF-8 sequence that begins at `at` and is a character YAML allows; 0 if there is
/// none.
std::size_t character_bytes(std::string_view text, std::size_t at) {
  const auto byte = [text, at](std::size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) {
    return (lead >= 0x20 && lead != 0x7f) || lead == '\t' || lead == '\n' || lead == '\r' ? 1 : 0;
  }
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4) {
    return 0;
  }
  char32_t value = lead & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) {
      return 0;
    }
    value = (value << 6U) | (byte(i) & 0x3fU);
  }
  constexpr std::array<char32_t, 5> kShortest = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  const bool control = value < 0xa0 && value != 0x85;
  const bool no_character = value == 0xfeff || value == 0xfffe || value == 0xffff;
  const bool bad =
      value < kShortest[length] || value > 0x10ffff || surrogate || control || no_character;
  return bad ? 0 : length;
}

}  // namespace

Value::Kind resolve_plain(std::string_view text) {
  if (text.empty()) {
    return Value::Kind::null;
  }
  const char first = text[0];
  if (is_digit(first) || first == '+' || first == '-' || first == '.') {
    std::string plain;
    if (text.find('_') != std::string_view::npos && first != '.') {
      plain = text;
      std::erase(plain, '_');
      text = plain;
    }
    if (first != '.' && is_integer(text)) {
      return Value::Kind::integer;
    }
    return is_float(text) || is_named_float(text) ? Value::Kind::floating : Value::Kind::string;
  }
  constexpr std::string_view kFirstLetters = "yYnNtTfFoO~";
  if (kFirstLetters.find(first) == std::string_view::npos) {
    return Value::Kind::string;
  }
  if (text == "~" || is_word(text, "null")) {
    return Value::Kind::null;
  }
  return is_boolean(text) ? Value::Kind::boolean : Value::Kind::string;
}

std::optional<Problem> find_binary(std::string_view text) {
  std::size_t at = 0;
  Mark mark;
  while (at < text.size()) {
    const std::size_t bytes = character_bytes(text, at);
    if (bytes == 0) {
      const auto byte = static_cast<unsigned char>(text[at]);
      return Problem{
          mark,
          {},
          fmt::format("byte 0x{:02x} cannot stand in a manifest, which is text in UTF-8", byte)};
    }
    ++mark.column;
    if (text[at] == '\n') {
      mark = {mark.line + 1, 1};
    }
    at += bytes;
  }
  return std::nullopt;
}

std::string excerpt(std::string_view text) {
  constexpr std::size_t kShownMax = 80;
  std::string out(text.substr(0, kShownMax));
  if (text.size() > kShownMax) {
    // Not through the middle of a character.
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xc0U) == 0x80U) {
      out.pop_back();
    }
    if (!out.empty() && static_cast<unsigned char>(out.back()) >= 0xc0U) {
      out.pop_back();
    }
    out += "...";
  }
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c >= 0 && c < 0x20; }, ' ');
  return out;
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto tail = [&out, code](unsigned shift) {
    out.push_back(static_cast<char>(0x80U | ((code >> shift) & 0x3fU)));
  };
  if (code < 0x80) {
    out.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out.push_back(static_cast<char>(0xc0U | (code >> 6U)));
    tail(0);
  } else if (code < 0x10000) {
    out.push_back(static_cast<char>(0xe0U | (code >> 12U)));
    tail(6);
    tail(0);
  } else {
    out.push_back(static_cast<char>(0xf0U | (code >> 18U)));
    tail(12);
    tail(6);
    tail(0);
  }
}

}  // namespace portcullis::policy
