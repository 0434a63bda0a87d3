// SPDX-License-Identifier: MIT
// Typed access to the fields of a manifest's tree, in the way the API server decodes JSON: null is
// absent, a wrong type is an error with its field path, and unknown fields can be refused.
// Thread: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/manifest/tree.h"
#include "policy/snapshot.h"

namespace portcullis::policy {

/// A field path, as a chain on the stack: it is written out only when there is something to say.
struct Path {
  const Path* parent = nullptr;
  std::string_view field;  // Empty for an item of a list.
  std::size_t index = 0;

  [[nodiscard]] Path child(std::string_view name) const { return {this, name, 0}; }
  [[nodiscard]] Path item(std::size_t i) const { return {this, {}, i}; }
  /// "spec.ingress[0].from[1]", as Kubernetes prints it.
  [[nodiscard]] std::string text() const;
};

/// Collects what is found wrong in one manifest, at most limits::kDiagnosticsMax in all.
class Report {
 public:
  Report(std::string file, std::vector<Diagnostic>& diagnostics)
      : file_(std::move(file)), diagnostics_(diagnostics) {}

  void error(Mark mark, const Path& path, std::string message);
  void warning(Mark mark, const Path& path, std::string message);
  void add(Diagnostic::Severity severity, Mark mark, std::string field, std::string message);
  void problem(const Problem& problem);
  /// The API server's three most frequent refusals.
  void invalid(Mark mark, const Path& path, std::string_view value, std::string_view why);
  void required(Mark mark, const Path& path, std::string_view why = {});
  void unsupported(Mark mark,
                   const Path& path,
                   std::string_view value,
                   const std::vector<std::string_view>& supported);

  /// "NetworkPolicy shop/web": what the following diagnostics are about.
  void set_object(std::string object) { object_ = std::move(object); }
  /// True when nothing more will be kept.
  [[nodiscard]] bool full() const;
  [[nodiscard]] Where where(Mark mark) const { return {file_, mark.line, mark.column}; }

 private:
  std::string file_;
  std::string object_;
  std::vector<Diagnostic>& diagnostics_;
};

/// Where a JSON value has a wrong type these report it ("cannot unmarshal ...") and give nothing.
/// A null reads as the type's zero value.
std::optional<std::string_view> as_string(Report& report, const Value& value, const Path& path);
std::optional<std::int32_t> as_int32(Report& report, const Value& value, const Path& path);
std::optional<bool> as_bool(Report& report, const Value& value, const Path& path);
/// True for a list; an error for anything but a list or null.
bool is_list(Report& report, const Value& value, const Path& path);
/// True for a map; an error for anything but a map or null.
bool is_map(Report& report, const Value& value, const Path& path);

/// "cannot unmarshal number into a field of type string".
std::string type_mismatch(const Value& value, std::string_view wanted);

/// A list of strings; items of a wrong type are reported and left out.
std::vector<std::string> as_strings(Report& report, const Value& value, const Path& path);

/// Calls visit(item, path of the item) for each item of a list (none for null, an error for else).
template <typename Visit>
void for_each_item(Report& report, const Value& value, const Path& path, Visit&& visit) {
  if (!is_list(report, value, path)) {
    return;
  }
  std::size_t index = 0;
  for (const Value* item = value.child(); item != nullptr; item = item->next) {
    const Path item_path = path.item(index++);
    visit(*item, item_path);
  }
}

/// The fields of one map, taken by name; what is not taken is unknown.
class Fields {
 public:
  /// A null has no fields; anything else but a map is reported, and has none either.
  Fields(Report& report, const Value& value, const Path& path);

  /// The value of a field; null pointer if it is absent or null.
  const Value* take(std::string_view name);
  /// Declares fields that are known and of no interest.
  void ignore(std::initializer_list<std::string_view> names);
  /// Reports every field that was neither taken nor ignored. `home_of`, if given, says where a
  /// field that stands here by mistake belongs (empty: it does not know).
  void refuse_rest(std::string_view (*home_of)(std::string_view field) = nullptr,
                   Diagnostic::Severity severity = Diagnostic::Severity::error);

 private:
  Report& report_;
  const Path& path_;
  const Value* first_ = nullptr;
  std::vector<std::string_view> known_;
};

/// The known word nearest to what was written, if it is near enough to be meant; else empty.
std::string_view nearest_word(std::string_view written, const std::vector<std::string_view>& known);

}  // namespace portcullis::policy
