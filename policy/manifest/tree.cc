// SPDX-License-Identifier: MIT
#include "policy/manifest/tree.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "base/check.h"
#include "base/limits.h"
#include "policy/manifest/scalar.h"

namespace portcullis::policy {
namespace {

constexpr std::size_t kChunkBytesMin = 16U << 10U;
constexpr std::size_t kChunkBytesMax = 1U << 20U;

/// Compares the keys of a small mapping, which nearly all are, pair by pair.
bool may_hold_duplicates(const Value& mapping) {
  constexpr std::uint32_t kPairwiseMax = 16;
  if (mapping.size > kPairwiseMax) {
    return true;
  }
  for (const Value* key = mapping.first; key != nullptr; key = key->next->next) {
    for (const Value* before = mapping.first; before != key; before = before->next->next) {
      if (before->text() == key->text()) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

std::optional<std::int64_t> Value::integer() const {
  if (kind != Kind::integer) {
    return std::nullopt;
  }
  std::string digits(text());
  std::erase(digits, '_');
  std::string_view rest = digits;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) {
    rest.remove_prefix(1);
  }
  int base = 10;
  if (rest.size() > 1 && rest[0] == '0') {
    const char letter = static_cast<char>(rest[1] | 0x20);
    base = letter == 'x' ? 16 : letter == 'b' ? 2 : 8;
    rest.remove_prefix(letter == 'x' || letter == 'b' || letter == 'o' ? 2 : 1);
  }
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number, base);
  if (error != std::errc{} || end != rest.data() + rest.size()) {
    return std::nullopt;
  }
  return negative ? -number : number;
}

bool Value::boolean() const {
  const char first_letter = static_cast<char>(text()[0] | 0x20);
  return first_letter == 't' || first_letter == 'y' || (text().size() == 2 && first_letter == 'o');
}

const Value* find(const Value& mapping, std::string_view key) {
  const Value* found = nullptr;
  if (mapping.kind == Value::Kind::mapping) {
    for (const Value* at = mapping.first; at != nullptr; at = at->next->next) {
      if (at->text() == key) {
        found = at->next;
      }
    }
  }
  return found;
}

Value* Arena::make_value() {
  ++values_;
  return new (take(sizeof(Value), alignof(Value))) Value;
}

std::string_view Arena::copy(std::string_view text) {
  if (text.empty()) {
    return {};
  }
  char* to = take(text.size(), 1);
  std::memcpy(to, text.data(), text.size());
  return {to, text.size()};
}

char* Arena::take(std::size_t bytes, std::size_t align) {
  // Chunks come aligned for anything, so what is left tells how far the cursor is out of step.
  const std::size_t skip = left_ % align;
  if (left_ < bytes + skip) {
    const std::size_t wanted =
        std::min(kChunkBytesMin << std::min(chunks_.size(), std::size_t{6}), kChunkBytesMax);
    if (bytes > wanted / 4) {
      chunks_.push_back(std::make_unique_for_overwrite<char[]>(bytes));
      char* alone = chunks_.back().get();
      return alone;
    }
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(wanted));
    at_ = chunks_.back().get();
    left_ = wanted;
    return take(bytes, align);
  }
  char* out = at_ + skip;
  at_ = out + bytes;
  left_ -= bytes + skip;
  return out;
}

TreeBuilder::TreeBuilder(Tree& tree, std::size_t text_bytes)
    : tree_(tree),
      values_max_(
          std::max(limits::kManifestValuesFree, text_bytes / limits::kManifestBytesPerValue)) {}

bool TreeBuilder::fail_at(Mark mark, std::string message) {
  if (!problem_) {
    problem_ = Problem{mark, stack_.empty() ? std::string() : path_of_top(), std::move(message)};
  }
  return false;
}

Value* TreeBuilder::add(Mark mark) {
  if (problem_) {
    return nullptr;
  }
  if (tree_.arena.values() >= values_max_) {
    fail_at(mark, fmt::format("more than {} values in one manifest: split it", values_max_));
    return nullptr;
  }
  Value* value = tree_.arena.make_value();
  value->mark = mark;
  ++expanded_;
  newest_ = value;
  return value;
}

bool TreeBuilder::begin(Value::Kind kind, Mark mark, std::string_view anchor) {
  if (stack_.size() >= limits::kNestingMax) {
    stack_.clear();  // A path a hundred fields long would help nobody.
    return fail_at(mark, fmt::format("nested more than {} levels deep", limits::kNestingMax));
  }
  Value* value = add(mark);
  if (value == nullptr) {
    return false;
  }
  value->kind = kind;
  value->first = nullptr;
  if (!attach(value)) {
    return false;
  }
  if (!anchor.empty() && !remember(anchor, Anchor{value, 0, true})) {
    return false;
  }
  stack_.push_back(
      {.value = value, .expanded_before = expanded_ - 1, .anchor = std::string(anchor)});
  return true;
}

bool TreeBuilder::end() {
  PORTCULLIS_CHECK(!stack_.empty());
  const Open top = std::move(stack_.back());
  stack_.pop_back();
  if (top.value->kind == Value::Kind::mapping && top.value->size > 1) {
    check_duplicates(*top.value);
  }
  if (!top.anchor.empty()) {
    anchors_[top.anchor] = Anchor{top.value, expanded_ - top.expanded_before, false};
  }
  return !problem_;
}

bool TreeBuilder::scalar(Value::Kind kind, std::string_view text, Mark mark, bool lasting) {
  if (text.size() > limits::kScalarBytesMax) {
    return fail_at(
        mark,
        fmt::format("a value of {} bytes: the limit is {}", text.size(), limits::kScalarBytesMax));
  }
  Value* value = add(mark);
  if (value == nullptr) {
    return false;
  }
  value->kind = kind;
  value->bytes = (lasting ? text : tree_.arena.copy(text)).data();
  value->size = static_cast<std::uint32_t>(text.size());
  return attach(value);
}

bool TreeBuilder::anchor_scalar(std::string_view anchor) {
  return remember(anchor, Anchor{newest_, 1, false});
}

bool TreeBuilder::remember(std::string_view name, const Anchor& anchor) {
  anchors_[std::string(name)] = anchor;
  return anchors_.size() <= limits::kAnchorsMax ||
         fail_at(anchor.value->mark,
                 fmt::format("more than {} anchors in one document", limits::kAnchorsMax));
}

bool TreeBuilder::alias(std::string_view anchor, Mark mark) {
  const auto known = anchors_.find(std::string(anchor));
  if (known == anchors_.end()) {
    return fail_at(mark, fmt::format("alias *{0} has no anchor &{0} before it", excerpt(anchor)));
  }
  if (known->second.open) {
    return fail_at(mark,
                   fmt::format("alias *{} lies inside the value it stands for", excerpt(anchor)));
  }
  aliased_ += known->second.expanded;
  if (aliased_ > limits::kAliasExpansionMax) {
    return fail_at(mark,
                   fmt::format("aliases expand to more than {} values: write them out or split "
                               "the manifest",
                               limits::kAliasExpansionMax));
  }
  Value* value = add(mark);
  if (value == nullptr) {
    return false;
  }
  // The children are shared; only the link to the next sibling is the alias's own.
  const Value& target = *known->second.value;
  value->kind = target.kind;
  value->size = target.size;
  if (target.is_scalar()) {
    value->bytes = target.bytes;
  } else {
    value->first = target.first;
  }
  expanded_ += known->second.expanded - 1;
  return attach(value);
}

void TreeBuilder::end_document() {
  PORTCULLIS_CHECK(stack_.empty());
  anchors_.clear();
  expanded_ = 0;
  aliased_ = 0;
}

bool TreeBuilder::attach(Value* value) {
  if (stack_.empty()) {
    tree_.documents.push_back(value);
    return true;
  }
  Open& top = stack_.back();
  const bool is_key = top.value->kind == Value::Kind::mapping && !top.awaits_value;
  if (is_key && !check_key(*value)) {
    return false;
  }
  if (top.last == nullptr) {
    top.value->first = value;
  } else {
    top.last->next = value;
  }
  top.last = value;
  top.awaits_value = is_key;
  if (is_key) {
    top.last_key = value;
  } else {
    ++top.value->size;
  }
  return true;
}

bool TreeBuilder::check_key(const Value& value) {
  if (!value.is_scalar()) {
    return fail_at(value.mark, "a key must be a plain word or a string, not a list or a map");
  }
  if (value.kind == Value::Kind::null) {
    return fail_at(value.mark, "a key is missing before ':' (a null key)");
  }
  return true;
}

void TreeBuilder::check_duplicates(const Value& mapping) {
  if (!may_hold_duplicates(mapping)) {
    return;
  }
  keys_.clear();
  for (const Value* key = mapping.first; key != nullptr; key = key->next->next) {
    keys_.push_back(key);
  }
  // Stable, so that equal keys stay in the order of their lines.
  std::stable_sort(keys_.begin(), keys_.end(), [](const Value* a, const Value* b) {
    return a->text() < b->text();
  });
  const Value* reported = nullptr;
  for (std::size_t i = 1; i < keys_.size(); ++i) {
    const bool again = keys_[i]->text() == keys_[i - 1]->text();
    if (again && (reported == nullptr || reported->text() != keys_[i]->text())) {
      reported = keys_[i];
      report_duplicate(*keys_[i - 1], *keys_[i]);
    }
  }
}

void TreeBuilder::report_duplicate(const Value& first, const Value& again) {
  if (tree_.duplicates.size() > limits::kDiagnosticsMax) {
    return;
  }
  std::string field = path_of_top();
  field += field.empty() ? "" : ".";
  field += excerpt(again.text());
  tree_.duplicates.push_back(
      {again.mark,
       std::move(field),
       fmt::format("duplicate field \"{}\", already set at line {}: only one of them would count",
                   excerpt(again.text()),
                   first.mark.line)});
}

std::string TreeBuilder::path_of_top() const {
  std::string path;
  for (const Open& open : stack_) {
    if (open.value->kind == Value::Kind::sequence) {
      // A child that is open is attached already, so it counts.
      path += fmt::format("[{}]", open.value->size == 0 ? 0 : open.value->size - 1);
    } else if (open.last_key != nullptr) {
      path += path.empty() ? "" : ".";
      path += excerpt(open.last_key->text());
    }
  }
  return path;
}

}  // namespace portcullis::policy
