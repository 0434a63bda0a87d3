// SPDX-License-Identifier: MIT
#include "policy/manifest/json.h"

#include <string>
#include <vector>

#include <fmt/format.h>

#include "policy/manifest/scalar.h"

namespace portcullis::policy {
namespace {

class JsonReader {
 public:
  JsonReader(std::string_view text, Tree& tree) : text_(text), builder_(tree, text.size()) {}

  std::optional<JsonProblem> read();

 private:
  /// What may come next.
  enum class Expect : std::uint8_t { document, value, value_or_end, key, key_or_end, comma_or_end };

  bool step();
  bool take_comma_or_end();
  bool take_key();
  bool take_value();
  bool open(Value::Kind kind);
  bool close();
  bool take_string();
  bool take_number();
  bool take_word(std::string_view word, Value::Kind kind);
  bool unescape(std::string& out);
  bool unescape_unicode(std::string& out);
  std::optional<std::uint32_t> take_hex();
  void skip_space();
  void after_value();
  bool wrong(std::string message);

  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  [[nodiscard]] char peek() const { return at_end() ? '\0' : text_[at_]; }
  [[nodiscard]] Mark mark() const {
    return {line_, static_cast<std::uint32_t>(at_ - line_start_ - continuations_ + 1)};
  }
  [[nodiscard]] bool in_object() const { return !open_.empty() && open_.back().is_object; }

  struct Open {
    bool is_object;
    std::uint32_t line;
  };

  std::string_view text_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1;
  std::size_t line_start_ = 0;
  std::size_t continuations_ = 0;  // UTF-8 continuation bytes since then: no columns of their own.
  Expect expect_ = Expect::document;
  std::vector<Open> open_;
  TreeBuilder builder_;
  std::optional<JsonProblem> problem_;
};

std::optional<JsonProblem> JsonReader::read() {
  while (true) {
    skip_space();
    if (at_end() && expect_ == Expect::document) {
      return std::nullopt;
    }
    if (!step()) {
      return builder_.problem() ? JsonProblem{*builder_.problem(), true} : problem_;
    }
  }
}

bool JsonReader::step() {
  if (at_end()) {
    return wrong(open_.empty() ? "the text ends where a value should stand"
                               : fmt::format("the text ends inside the {} of line {}",
                                             open_.back().is_object ? "object" : "array",
                                             open_.back().line));
  }
  switch (expect_) {
    case Expect::comma_or_end:
      return take_comma_or_end();
    case Expect::key_or_end:
      return peek() == '}' ? close() : take_key();
    case Expect::key:
      return take_key();
    case Expect::value_or_end:
      return peek() == ']' ? close() : take_value();
    case Expect::value:
    case Expect::document:
      return take_value();
  }
  return false;
}

bool JsonReader::take_comma_or_end() {
  const char c = peek();
  if (c == (in_object() ? '}' : ']')) {
    return close();
  }
  if (c != ',') {
    return wrong(fmt::format("expected ',' or '{}'", in_object() ? '}' : ']'));
  }
  ++at_;
  expect_ = in_object() ? Expect::key : Expect::value;
  return true;
}

bool JsonReader::take_key() {
  if (peek() != '"') {
    return wrong("expected a key in double quotes");
  }
  if (!take_string()) {
    return false;
  }
  skip_space();
  if (peek() != ':') {
    return wrong("expected ':' after the key");
  }
  ++at_;
  expect_ = Expect::value;
  return true;
}

bool JsonReader::take_value() {
  switch (peek()) {
    case '{':
      return open(Value::Kind::mapping);
    case '[':
      return open(Value::Kind::sequence);
    case '"':
      if (!take_string()) {
        return false;
      }
      after_value();
      return true;
    case 't':
      return take_word("true", Value::Kind::boolean);
    case 'f':
      return take_word("false", Value::Kind::boolean);
    case 'n':
      return take_word("null", Value::Kind::null);
    default:
      return take_number();
  }
}

bool JsonReader::open(Value::Kind kind) {
  if (!builder_.begin(kind, mark())) {
    return false;
  }
  const bool is_object = kind == Value::Kind::mapping;
  open_.push_back({is_object, line_});
  expect_ = is_object ? Expect::key_or_end : Expect::value_or_end;
  ++at_;
  return true;
}

bool JsonReader::close() {
  open_.pop_back();
  ++at_;
  if (!builder_.end()) {
    return false;
  }
  after_value();
  return true;
}

void JsonReader::after_value() {
  expect_ = open_.empty() ? Expect::document : Expect::comma_or_end;
  if (open_.empty()) {
    builder_.end_document();
  }
}

bool JsonReader::take_word(std::string_view word, Value::Kind kind) {
  if (text_.substr(at_, word.size()) != word) {
    return wrong("expected a value");
  }
  if (!builder_.scalar(kind, text_.substr(at_, word.size()), mark(), true)) {
    return false;
  }
  at_ += word.size();
  after_value();
  return true;
}

bool JsonReader::take_number() {
  const std::size_t begin = at_;
  std::size_t at = at_;
  const auto digits = [&] {
    const std::size_t first = at;
    while (at < text_.size() && text_[at] >= '0' && text_[at] <= '9') {
      ++at;
    }
    return at - first;
  };
  const auto holds = [&](char c) { return at < text_.size() && text_[at] == c; };
  at += holds('-') ? 1 : 0;
  const bool leading_zero = holds('0');
  const std::size_t whole = digits();
  bool good = whole > 0 && !(leading_zero && whole > 1);
  bool integer = true;
  if (good && holds('.')) {
    ++at;
    integer = false;
    good = digits() > 0;
  }
  if (good && (holds('e') || holds('E'))) {
    ++at;
    at += holds('+') || holds('-') ? 1 : 0;
    integer = false;
    good = digits() > 0;
  }
  if (!good) {
    return wrong("expected a value");
  }
  const auto kind = integer ? Value::Kind::integer : Value::Kind::floating;
  if (!builder_.scalar(kind, text_.substr(begin, at - begin), mark(), true)) {
    return false;
  }
  at_ = at;
  after_value();
  return true;
}

bool JsonReader::take_string() {
  const Mark start = mark();
  const std::size_t begin = ++at_;
  std::string unescaped;
  bool escapes = false;
  std::size_t copied = begin;
  while (true) {
    const char c = peek();
    if (at_end() || static_cast<unsigned char>(c) < 0x20) {
      return wrong(fmt::format("the string that begins at column {} is not closed", start.column));
    }
    if (c == '"') {
      break;
    }
    if (c == '\\') {
      unescaped.append(text_.substr(copied, at_ - copied));
      escapes = true;
      if (!unescape(unescaped)) {
        return false;
      }
      copied = at_;
      continue;
    }
    continuations_ += (static_cast<unsigned char>(c) & 0xc0U) == 0x80U ? 1 : 0;
    ++at_;
  }
  if (escapes) {
    unescaped.append(text_.substr(copied, at_ - copied));
  }
  const std::string_view text = escapes ? unescaped : text_.substr(begin, at_ - begin);
  ++at_;
  return builder_.scalar(Value::Kind::string, text, start, !escapes);
}

bool JsonReader::unescape(std::string& out) {
  constexpr std::string_view kLetters = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  ++at_;
  if (peek() == 'u') {
    ++at_;
    return unescape_unicode(out);
  }
  const auto index = at_end() ? std::string_view::npos : kLetters.find(peek());
  if (index == std::string_view::npos) {
    return wrong("no such escape sequence");
  }
  out.push_back(kMeanings[index]);
  ++at_;
  return true;
}

std::optional<std::uint32_t> JsonReader::take_hex() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  constexpr std::size_t kLength = 4;
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < kLength; ++i) {
    const char c = at_ + i < text_.size() ? text_[at_ + i] : '\0';
    const auto digit = kDigits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c | 0x20) : c);
    if (digit == std::string_view::npos) {
      return std::nullopt;
    }
    value = value * 16 + static_cast<std::uint32_t>(digit);
  }
  at_ += kLength;
  return value;
}

bool JsonReader::unescape_unicode(std::string& out) {
  constexpr std::uint32_t kReplacement = 0xfffd;
  const auto unit = take_hex();
  if (!unit) {
    return wrong("\\u needs four hexadecimal digits");
  }
  std::uint32_t code = *unit;
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (surrogate) {
    // The first half of a pair takes the second one with it; a half alone is no character.
    const std::size_t after = at_;
    const bool first_half = code < 0xdc00 && text_.substr(at_, 2) == "\\u";
    at_ += first_half ? 2 : 0;
    const auto second = first_half ? take_hex() : std::nullopt;
    const bool pair = second && *second >= 0xdc00 && *second <= 0xdfff;
    code = pair ? 0x10000 + ((code - 0xd800) << 10U) + (*second - 0xdc00) : kReplacement;
    at_ = pair ? at_ : after;
  }
  append_utf8(out, code);
  return true;
}

void JsonReader::skip_space() {
  for (; !at_end(); ++at_) {
    const char c = text_[at_];
    if (c == '\n') {
      ++line_;
      line_start_ = at_ + 1;
      continuations_ = 0;
    } else if (c != ' ' && c != '\t' && c != '\r') {
      return;
    }
  }
}

bool JsonReader::wrong(std::string message) {
  problem_ = JsonProblem{{mark(), {}, std::move(message)}, false};
  return false;
}

}  // namespace

std::optional<JsonProblem> read_json(std::string_view text, Tree& tree) {
  return JsonReader(text, tree).read();
}

}  // namespace portcullis::policy
