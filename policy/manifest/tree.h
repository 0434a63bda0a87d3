// SPDX-License-Identifier: MIT
// The generic tree that both readers (yaml, json) grow and that decode walks: nulls, booleans,
// numbers, strings, sequences and mappings, each with the line and column where it stands.
// Thread: one grows it; once grown it is constant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace portcullis::policy {

/// Line and column count from 1; a column is counted in characters.
struct Mark {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
};

/// A value. Children are linked by `next`; those of a mapping are key, value, key, value, ...
struct Value {
  enum class Kind : std::uint8_t { null, boolean, integer, floating, string, sequence, mapping };

  const Value* next = nullptr;
  union {
    const char* bytes = nullptr;  // Scalars: as written (numbers too), unescaped.
    const Value* first;           // Sequences and mappings.
  };
  std::uint32_t size = 0;  // Bytes of a scalar, items of a sequence, entries of a mapping.
  Mark mark;
  Kind kind = Kind::null;

  [[nodiscard]] bool is_scalar() const { return kind < Kind::sequence; }
  /// REQUIRES: is_scalar().
  [[nodiscard]] std::string_view text() const { return {bytes, size}; }
  [[nodiscard]] const Value* child() const { return is_scalar() ? nullptr : first; }
  /// The number, if it is an integer that fits: YAML's notations (0x1F, 0o17, 017, 0b1, 1_000).
  [[nodiscard]] std::optional<std::int64_t> integer() const;
  /// REQUIRES: kind == boolean.
  [[nodiscard]] bool boolean() const;
};
static_assert(sizeof(Value) == 32);

/// The value of `key` in a mapping, or null. The last one counts if there are several.
const Value* find(const Value& mapping, std::string_view key);

/// What a reader found wrong.
struct Problem {
  Mark mark;
  std::string field;  // "spec.ingress[0].from", where known.
  std::string message;
};

/// Nodes and strings of one manifest, freed together.
class Arena {
 public:
  Value* make_value();
  std::string_view copy(std::string_view text);
  [[nodiscard]] std::size_t values() const { return values_; }

 private:
  char* take(std::size_t bytes, std::size_t align);

  std::vector<std::unique_ptr<char[]>> chunks_;
  std::size_t left_ = 0;
  char* at_ = nullptr;
  std::size_t values_ = 0;
};

/// One manifest: its documents' roots, and every key that a mapping holds twice.
struct Tree {
  Arena arena;
  std::vector<const Value*> documents;
  std::vector<Problem> duplicates;
};

/// Grows a Tree from the events of a reader, and holds the limits: nesting, scalar size, number of
/// values, alias expansion. Every step returns false once a problem is known.
/// Cost: no recursion; amortised constant per event.
class TreeBuilder {
 public:
  /// `text_bytes` is the size of the manifest, which bounds the number of values.
  TreeBuilder(Tree& tree, std::size_t text_bytes);

  [[nodiscard]] bool begin(Value::Kind kind, Mark mark, std::string_view anchor = {});
  [[nodiscard]] bool end();
  /// `lasting`: the text outlives the tree and need not be copied.
  [[nodiscard]] bool scalar(Value::Kind kind, std::string_view text, Mark mark, bool lasting);
  /// Names the scalar just added.
  [[nodiscard]] bool anchor_scalar(std::string_view anchor);
  [[nodiscard]] bool alias(std::string_view anchor, Mark mark);
  void end_document();
  /// Notes the problem; always false, for `return fail_at(...)`.
  bool fail_at(Mark mark, std::string message);

  [[nodiscard]] const std::optional<Problem>& problem() const { return problem_; }

 private:
  struct Open {
    Value* value;
    Value* last = nullptr;            // The child added last.
    const Value* last_key = nullptr;  // In a mapping: the key added last,
    bool awaits_value = false;        // and whether its value is still to come.
    std::size_t expanded_before = 0;
    std::string anchor;
  };
  struct Anchor {
    const Value* value;
    std::size_t expanded;  // Nodes it stands for, aliases in it expanded.
    bool open;
  };

  bool remember(std::string_view name, const Anchor& anchor);
  [[nodiscard]] Value* add(Mark mark);
  bool attach(Value* value);
  bool check_key(const Value& value);
  void check_duplicates(const Value& mapping);
  void report_duplicate(const Value& first, const Value& again);
  [[nodiscard]] std::string path_of_top() const;

  Tree& tree_;
  std::size_t values_max_;
  std::vector<Open> stack_;
  std::unordered_map<std::string, Anchor> anchors_;
  std::vector<const Value*> keys_;  // Scratch of check_duplicates.
  Value* newest_ = nullptr;
  std::size_t expanded_ = 0;  // Nodes of this document, aliases expanded.
  std::size_t aliased_ = 0;   // Those of them that came by an alias.
  std::optional<Problem> problem_;
};

}  // namespace portcullis::policy
