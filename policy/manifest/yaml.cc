// SPDX-License-Identifier: MIT
#include "policy/manifest/yaml.h"

#include <algorithm>
#include <string>

#include <yaml.h>

#include <fmt/format.h>

#include "base/check.h"
#include "policy/manifest/scalar.h"

namespace portcullis::policy {
namespace {

/// %TAG lines allowed: libyaml compares each with all before it.
constexpr std::size_t kTagDirectivesMax = 16;

class Parser {
 public:
  explicit Parser(std::string_view text) {
    PORTCULLIS_CHECK(yaml_parser_initialize(&parser_) == 1);  // Fails for want of memory only.
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(
        &parser_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;
  ~Parser() {
    drop_event();
    yaml_parser_delete(&parser_);
  }

  /// The next event, valid until the next call; null on a syntax error.
  const yaml_event_t* next() {
    drop_event();
    held_ = yaml_parser_parse(&parser_, &event_) == 1;
    return held_ ? &event_ : nullptr;
  }
  [[nodiscard]] const yaml_parser_t& state() const { return parser_; }

 private:
  void drop_event() {
    if (held_) {
      yaml_event_delete(&event_);
      held_ = false;
    }
  }

  yaml_parser_t parser_{};
  yaml_event_t event_{};
  bool held_ = false;
};

Mark mark_of(const yaml_mark_t& mark) {
  return {static_cast<std::uint32_t>(mark.line + 1), static_cast<std::uint32_t>(mark.column + 1)};
}

std::string_view text_of(const yaml_char_t* text) {
  return text == nullptr ? std::string_view() : reinterpret_cast<const char*>(text);
}

/// Where the text ends: libyaml reports what is missing there at the line after it.
Mark end_of(std::string_view text) {
  Mark mark;
  for (const char c : text) {
    if (c == '\n') {
      mark = {mark.line + 1, 1};
    } else if ((static_cast<unsigned char>(c) & 0xc0U) != 0x80U) {
      ++mark.column;
    }
  }
  return mark;
}

/// libyaml's words, and where it was when it gave up.
Problem syntax_problem(const yaml_parser_t& parser, std::string_view text) {
  std::string message = parser.problem != nullptr ? parser.problem : "not YAML";
  if (parser.context != nullptr) {
    message += fmt::format(" {}", parser.context);
    if (parser.context_mark.line < parser.problem_mark.line) {
      message += fmt::format(" that began at line {}", parser.context_mark.line + 1);
    }
  }
  if (message.find("cannot start any token") != std::string::npos) {
    message += " (a tab cannot indent YAML; quote a value that begins with @, ` or %)";
  }
  const Mark mark = mark_of(parser.problem_mark);
  const Mark end = end_of(text);
  return {mark.line > end.line ? end : mark, {}, std::move(message)};
}

/// The kind that an explicit tag asks for, or that the text resolves to.
std::optional<Value::Kind> kind_of(std::string_view tag, std::string_view text, bool plain) {
  constexpr std::string_view kCore = "tag:yaml.org,2002:";
  if (tag.empty()) {
    return plain ? resolve_plain(text) : Value::Kind::string;
  }
  if (tag == "!") {
    return Value::Kind::string;
  }
  if (!tag.starts_with(kCore)) {
    return std::nullopt;
  }
  tag.remove_prefix(kCore.size());
  if (tag == "str") {
    return Value::Kind::string;
  }
  const Value::Kind kind = resolve_plain(text);
  const bool fits = (tag == "int" && kind == Value::Kind::integer) ||
                    (tag == "bool" && kind == Value::Kind::boolean) ||
                    (tag == "null" && kind == Value::Kind::null) ||
                    (tag == "float" && kind == Value::Kind::floating);
  return fits ? std::optional(kind) : std::nullopt;
}

bool add_scalar(const yaml_event_t& event, TreeBuilder& builder) {
  const auto& scalar = event.data.scalar;
  const std::string_view text(reinterpret_cast<const char*>(scalar.value), scalar.length);
  const Mark mark = mark_of(event.start_mark);
  const std::string_view tag = text_of(scalar.tag);
  const bool plain = scalar.style == YAML_PLAIN_SCALAR_STYLE;
  const auto kind = kind_of(tag, text, plain);
  if (!kind) {
    return builder.fail_at(mark,
                           fmt::format("tag {} is not supported here: remove it", excerpt(tag)));
  }
  if (plain && tag.empty() && text == "<<") {
    return builder.fail_at(mark, "merge keys (<<) are not supported: write the fields out");
  }
  if (!builder.scalar(*kind, text, mark, false)) {
    return false;
  }
  return scalar.anchor == nullptr || builder.anchor_scalar(text_of(scalar.anchor));
}

bool begin_collection(const yaml_event_t& event, TreeBuilder& builder) {
  const bool mapping = event.type == YAML_MAPPING_START_EVENT;
  const yaml_char_t* tag = mapping ? event.data.mapping_start.tag : event.data.sequence_start.tag;
  const yaml_char_t* anchor =
      mapping ? event.data.mapping_start.anchor : event.data.sequence_start.anchor;
  const std::string_view wanted = mapping ? "tag:yaml.org,2002:map" : "tag:yaml.org,2002:seq";
  const Mark mark = mark_of(event.start_mark);
  if (tag != nullptr && text_of(tag) != wanted && text_of(tag) != "!") {
    return builder.fail_at(
        mark, fmt::format("tag {} is not supported here: remove it", excerpt(text_of(tag))));
  }
  return builder.begin(
      mapping ? Value::Kind::mapping : Value::Kind::sequence, mark, text_of(anchor));
}

/// False at the end of the stream and on a problem.
bool take_event(const yaml_event_t& event, TreeBuilder& builder) {
  switch (event.type) {
    case YAML_SCALAR_EVENT:
      return add_scalar(event, builder);
    case YAML_MAPPING_START_EVENT:
    case YAML_SEQUENCE_START_EVENT:
      return begin_collection(event, builder);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
      return builder.end();
    case YAML_ALIAS_EVENT:
      return builder.alias(text_of(event.data.alias.anchor), mark_of(event.start_mark));
    case YAML_DOCUMENT_END_EVENT:
      builder.end_document();
      return true;
    case YAML_STREAM_END_EVENT:
      return false;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_START_EVENT:
      return true;
  }
  return true;
}

std::optional<Problem> find_tag_directives(std::string_view text) {
  std::size_t count = 0;
  std::uint32_t line = 1;
  for (std::size_t at = text.find("%TAG"); at != std::string_view::npos;
       at = text.find("%TAG", at + 4)) {
    const bool begins_line = at == 0 || text[at - 1] == '\n' || text[at - 1] == '\r';
    if (begins_line && ++count > kTagDirectivesMax) {
      line += static_cast<std::uint32_t>(std::count(text.begin(), text.begin() + at, '\n'));
      return Problem{{line, 1}, {}, "too many %TAG directives: manifests need none"};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Problem> read_yaml(std::string_view text, Tree& tree) {
  if (auto problem = find_tag_directives(text)) {
    return problem;
  }
  Parser parser(text);
  TreeBuilder builder(tree, text.size());
  while (true) {
    const yaml_event_t* event = parser.next();
    if (event == nullptr) {
      return syntax_problem(parser.state(), text);
    }
    if (!take_event(*event, builder)) {
      return builder.problem();
    }
  }
}

}  // namespace portcullis::policy
