// SPDX-License-Identifier: MIT
#include "policy/manifest/fields.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"
#include "policy/manifest/scalar.h"

namespace portcullis::policy {
namespace {

std::string_view json_name(Value::Kind kind) {
  switch (kind) {
    case Value::Kind::null:
      return "null";
    case Value::Kind::boolean:
      return "bool";
    case Value::Kind::integer:
    case Value::Kind::floating:
      return "number";
    case Value::Kind::string:
      return "string";
    case Value::Kind::sequence:
      return "array";
    case Value::Kind::mapping:
      return "object";
  }
  return "value";
}

/// Letters to change, add, leave out, or swap with their neighbour.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  // A letter in the wrong case costs nothing: it is the likeliest slip.
  const auto same = [](char x, char y) { return (x | 0x20) == (y | 0x20); };
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = same(a[i - 1], b[j - 1]) ? 0 : 1;
      row[j] = std::min({last[j - 1] + change, last[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1])) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string Path::text() const {
  if (parent == nullptr) {
    return excerpt(field);
  }
  std::string out = parent->text();
  if (field.empty()) {
    return out + fmt::format("[{}]", index);
  }
  return out.empty() ? excerpt(field) : out + "." + excerpt(field);
}

void Report::add(Diagnostic::Severity severity, Mark mark, std::string field, std::string message) {
  if (full()) {
    return;
  }
  if (diagnostics_.size() == limits::kDiagnosticsMax) {
    field.clear();
    message = "too many errors: the rest is not shown";
    severity = Diagnostic::Severity::error;
  }
  diagnostics_.push_back({severity, where(mark), object_, std::move(field), std::move(message)});
}

bool Report::full() const {
  return diagnostics_.size() > limits::kDiagnosticsMax;
}

void Report::error(Mark mark, const Path& path, std::string message) {
  add(Diagnostic::Severity::error, mark, path.text(), std::move(message));
}

void Report::warning(Mark mark, const Path& path, std::string message) {
  add(Diagnostic::Severity::warning, mark, path.text(), std::move(message));
}

void Report::problem(const Problem& problem) {
  add(Diagnostic::Severity::error, problem.mark, problem.field, problem.message);
}

void Report::invalid(Mark mark, const Path& path, std::string_view value, std::string_view why) {
  error(mark, path, fmt::format("Invalid value: \"{}\": {}", excerpt(value), why));
}

void Report::required(Mark mark, const Path& path, std::string_view why) {
  error(mark, path, why.empty() ? "Required value" : fmt::format("Required value: {}", why));
}

void Report::unsupported(Mark mark,
                         const Path& path,
                         std::string_view value,
                         const std::vector<std::string_view>& supported) {
  std::string message = fmt::format("Unsupported value: \"{}\": supported values", excerpt(value));
  for (const std::string_view one : supported) {
    message += fmt::format("{}\"{}\"", one == supported.front() ? ": " : ", ", one);
  }
  if (const std::string_view near = nearest_word(value, supported); !near.empty()) {
    message += fmt::format("; did you mean \"{}\"?", near);
  }
  error(mark, path, std::move(message));
}

std::string type_mismatch(const Value& value, std::string_view wanted) {
  return fmt::format("cannot unmarshal {} into a field of type {}", json_name(value.kind), wanted);
}

std::optional<std::string_view> as_string(Report& report, const Value& value, const Path& path) {
  if (value.kind == Value::Kind::null) {
    return std::string_view();
  }
  if (value.kind == Value::Kind::string) {
    return value.text();
  }
  std::string message = type_mismatch(value, "string");
  if (value.is_scalar()) {
    message += fmt::format(": quote it, \"{}\"", excerpt(value.text()));
  }
  report.error(value.mark, path, std::move(message));
  return std::nullopt;
}

std::optional<std::int32_t> as_int32(Report& report, const Value& value, const Path& path) {
  if (value.kind == Value::Kind::null) {
    return 0;
  }
  using Limits = std::numeric_limits<std::int32_t>;
  const auto number = value.integer();
  if (number && *number >= Limits::min() && *number <= Limits::max()) {
    return static_cast<std::int32_t>(*number);
  }
  std::string message = type_mismatch(value, "int32");
  if (value.is_scalar()) {
    message += fmt::format(" (\"{}\")", excerpt(value.text()));
  }
  report.error(value.mark, path, std::move(message));
  return std::nullopt;
}

std::optional<bool> as_bool(Report& report, const Value& value, const Path& path) {
  if (value.kind == Value::Kind::null) {
    return false;
  }
  if (value.kind == Value::Kind::boolean) {
    return value.boolean();
  }
  report.error(value.mark, path, type_mismatch(value, "bool") + ": write true or false, unquoted");
  return std::nullopt;
}

bool is_list(Report& report, const Value& value, const Path& path) {
  if (value.kind == Value::Kind::sequence) {
    return true;
  }
  if (value.kind != Value::Kind::null) {
    report.error(value.mark, path, type_mismatch(value, "list") + ": each item begins with '- '");
  }
  return false;
}

bool is_map(Report& report, const Value& value, const Path& path) {
  if (value.kind == Value::Kind::mapping) {
    return true;
  }
  if (value.kind != Value::Kind::null) {
    report.error(value.mark, path, type_mismatch(value, "object"));
  }
  return false;
}

std::vector<std::string> as_strings(Report& report, const Value& value, const Path& path) {
  std::vector<std::string> out;
  for_each_item(report, value, path, [&](const Value& item, const Path& item_path) {
    if (const auto text = as_string(report, item, item_path)) {
      out.emplace_back(*text);
    }
  });
  return out;
}

Fields::Fields(Report& report, const Value& value, const Path& path)
    : report_(report), path_(path), first_(is_map(report, value, path) ? value.child() : nullptr) {}

const Value* Fields::take(std::string_view name) {
  known_.push_back(name);
  const Value* found = nullptr;
  for (const Value* key = first_; key != nullptr; key = key->next->next) {
    if (key->text() == name) {
      found = key->next;
    }
  }
  return found != nullptr && found->kind == Value::Kind::null ? nullptr : found;
}

void Fields::ignore(std::initializer_list<std::string_view> names) {
  known_.insert(known_.end(), names);
}

void Fields::refuse_rest(std::string_view (*home_of)(std::string_view field),
                         Diagnostic::Severity severity) {
  for (const Value* key = first_; key != nullptr && !report_.full(); key = key->next->next) {
    const std::string_view name = key->text();
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) {
      continue;
    }
    const std::string path = path_.child(name).text();
    std::string message = fmt::format("unknown field \"{}\"", path);
    const std::string_view home = home_of != nullptr ? home_of(name) : std::string_view();
    if (!home.empty()) {
      message += fmt::format(": {} belongs in {}", name, home);
    } else if (const std::string_view near = nearest_word(name, known_); !near.empty()) {
      message += fmt::format("; did you mean \"{}\"?", near);
    }
    report_.add(severity, key->mark, path, std::move(message));
  }
}

std::string_view nearest_word(std::string_view written,
                              const std::vector<std::string_view>& known) {
  constexpr std::size_t kWordMax = 40;  // Nothing longer is a slip of the pen.
  std::string_view best;
  std::size_t best_distance = 3;
  for (const std::string_view word : known) {
    if (written.size() > kWordMax || written.empty()) {
      break;
    }
    const std::size_t distance = edit_distance(written, word);
    if (distance < best_distance && distance * 2 < std::max(word.size(), std::size_t{3})) {
      best = word;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace portcullis::policy
