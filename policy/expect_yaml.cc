// SPDX-License-Identifier: MIT
// Probes as a YAML list: {name, src, dst, proto, port, expected}.
#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "policy/expect_fields.h"
#include "policy/manifest/tree.h"
#include "policy/manifest/yaml.h"

namespace portcullis::policy {

namespace {

class YamlReader {
 public:
  explicit YamlReader(const Manifest& file) : file_(file) {}

  Expectations read();

 private:
  void read_item(const Value& item);
  /// The text of a field; empty (and a complaint) where it is no plain value.
  std::string_view text_of(const Value& field, std::string_view key);
  void complain(Mark mark, std::string_view field, std::string message);

  const Manifest& file_;
  Expectations out_;
};

void YamlReader::complain(Mark mark, std::string_view field, std::string message) {
  out_.diagnostics.push_back({Diagnostic::Severity::error,
                              {file_.name, mark.line, mark.column},
                              "",
                              std::string(field),
                              std::move(message)});
}

Expectations YamlReader::read() {
  Tree tree;
  if (auto problem = read_yaml(file_.text, tree)) {
    complain(problem->mark, problem->field, std::move(problem->message));
    return std::move(out_);
  }
  for (Problem& problem : tree.duplicates) {
    complain(problem.mark, problem.field, std::move(problem.message));
  }
  for (const Value* document : tree.documents) {
    if (document->kind == Value::Kind::null) {
      continue;
    }
    if (document->kind != Value::Kind::sequence) {
      complain(document->mark, "", "is no list; write \"- {src: ..., dst: ..., ...}\" for a probe");
      continue;
    }
    for (const Value* item = document->child(); item != nullptr; item = item->next) {
      read_item(*item);
    }
  }
  return std::move(out_);
}

void YamlReader::read_item(const Value& item) {
  if (item.kind != Value::Kind::mapping) {
    complain(item.mark, "", "is no probe; write {src: ..., dst: ..., proto: ..., port: ..., ...}");
    return;
  }
  const std::size_t errors_before = out_.diagnostics.size();
  Probe probe;
  probe.where = {file_.name, item.mark.line, item.mark.column};
  ProbeTexts texts;
  std::array<const Value*, kProbeFields.size()> given{};
  for (const Value* key = item.child(); key != nullptr; key = key->next->next) {
    const std::string_view name = key->is_scalar() ? key->text() : std::string_view();
    const auto* const field = std::find(kProbeFields.begin(), kProbeFields.end(), name);
    if (field != kProbeFields.end()) {
      const auto index = static_cast<std::size_t>(field - kProbeFields.begin());
      given[index] = key->next;
      texts[index] = text_of(*key->next, name);
    } else if (name == "name") {
      probe.name = text_of(*key->next, name);
    } else {
      complain(
          key->mark,
          "",
          fmt::format("{} is no field of a probe; it has name, src, dst, proto, port, expected",
                      quoted(name)));
    }
  }
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (given[i] == nullptr) {
      complain(item.mark, kProbeFields[i], "is missing");
    }
  }
  if (out_.diagnostics.size() != errors_before) {
    return;
  }
  if (fill_probe(texts, probe, [&](std::size_t field, std::string message) {
        complain(given[field]->mark, kProbeFields[field], std::move(message));
      })) {
    out_.probes.push_back(std::move(probe));
  }
}

std::string_view YamlReader::text_of(const Value& field, std::string_view key) {
  if (field.is_scalar() && field.kind != Value::Kind::null) {
    return field.text();
  }
  complain(field.mark, key, "must be a plain value");
  return {};
}

}  // namespace

Expectations parse_yaml_expectations(const Manifest& file) {
  return YamlReader(file).read();
}

}  // namespace portcullis::policy
