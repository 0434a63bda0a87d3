// SPDX-License-Identifier: MIT
// load(): manifests -> Snapshot, and what is wrong between objects rather than within one.
#include "policy/snapshot.h"

#include <algorithm>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "base/limits.h"
#include "policy/manifest/decode.h"
#include "policy/manifest/json.h"
#include "policy/manifest/scalar.h"
#include "policy/manifest/yaml.h"

namespace portcullis::policy {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

/// JSON or YAML, whichever it is: a text that begins like JSON may be YAML in flow style.
std::optional<Problem> read_tree(std::string_view text, Tree& tree) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || (text[first] != '{' && text[first] != '[')) {
    return read_yaml(text, tree);
  }
  const auto json_problem = read_json(text, tree);
  if (!json_problem || json_problem->limit) {
    return json_problem ? std::optional(json_problem->problem) : std::nullopt;
  }
  tree = Tree{};
  auto yaml_problem = read_yaml(text, tree);
  if (!yaml_problem) {
    return std::nullopt;
  }
  // It is neither; the reader that came farther knows better what was meant.
  const auto place = [](const Problem& problem) {
    return std::tuple(problem.mark.line, problem.mark.column);
  };
  const bool yaml_came_farther = place(*yaml_problem) > place(json_problem->problem);
  return yaml_came_farther ? yaml_problem : json_problem->problem;
}

void load_one(const Manifest& manifest, Loaded& out) {
  Report report(manifest.name, out.diagnostics);
  std::string_view text = manifest.text;
  if (text.starts_with(kByteOrderMark)) {
    text.remove_prefix(kByteOrderMark.size());
  }
  if (text.size() > limits::kManifestBytesMax) {
    report.problem({{}, {}, fmt::format("larger than {} bytes", limits::kManifestBytesMax)});
    return;
  }
  if (const auto binary = find_binary(text)) {
    report.problem(*binary);
    return;
  }
  Tree tree;
  if (const auto problem = read_tree(text, tree)) {
    report.problem(*problem);
    return;
  }
  for (const Problem& duplicate : tree.duplicates) {
    report.problem(duplicate);
  }
  const bool empty = std::all_of(tree.documents.begin(), tree.documents.end(), [](const Value* v) {
    return v->kind == Value::Kind::null;
  });
  if (empty) {
    report.warning({}, Path{}, "no object in this manifest");
  }
  for (const Value* document : tree.documents) {
    decode_document(report, *document, out.snapshot);
  }
}

// Keys that objects are sorted and told apart by.
std::tuple<std::string_view, std::string_view> key_of(const Namespace& object) {
  return {"", object.name};
}
std::tuple<std::string_view, std::string_view> key_of(const Node& object) {
  return {"", object.name};
}
std::tuple<std::string_view, std::string_view> key_of(const Pod& object) {
  return {object.name_space, object.name};
}
std::tuple<std::string_view, std::string_view> key_of(const NetworkPolicy& object) {
  return {object.name_space, object.name};
}

/// Sorts one list and reports every object that is there twice.
template <typename Object>
void sort_unique(std::string_view kind, std::vector<Object>& objects, Loaded& out) {
  // Stable, so that of twins the one read first is the first.
  std::stable_sort(objects.begin(), objects.end(), [](const Object& a, const Object& b) {
    return key_of(a) < key_of(b);
  });
  for (std::size_t i = 1; i < objects.size(); ++i) {
    const auto [name_space, name] = key_of(objects[i]);
    // A name that is missing is an error already, one that the server would make up is unique.
    const bool generated = name.empty() || name.ends_with('*');
    if (generated || key_of(objects[i - 1]) != key_of(objects[i])) {
      continue;
    }
    out.diagnostics.push_back(
        {Diagnostic::Severity::error,
         objects[i].where,
         fmt::format("{} {}{}{}", kind, name_space, name_space.empty() ? "" : "/", name),
         "metadata.name",
         fmt::format("Duplicate value: \"{}\": defined already at {}",
                     name,
                     to_string(objects[i - 1].where))});
  }
}

/// Pods whose namespace no manifest declares: no namespaceSelector with a requirement finds them.
void warn_of_undeclared_namespaces(Loaded& out) {
  std::set<std::string_view> known;
  for (const Namespace& name_space : out.snapshot.namespaces) {
    known.insert(name_space.name);
  }
  for (const Pod& pod : out.snapshot.pods) {
    if (!known.insert(pod.name_space).second) {
      continue;
    }
    out.diagnostics.push_back(
        {Diagnostic::Severity::warning,
         pod.where,
         fmt::format("Pod {}/{}", pod.name_space, pod.name),
         "metadata.namespace",
         fmt::format("namespace \"{}\" is in no manifest: it counts as one without labels",
                     pod.name_space)});
  }
}

void sort_diagnostics(std::span<const Manifest> manifests, std::vector<Diagnostic>& diagnostics) {
  std::map<std::string_view, std::size_t> order;
  for (const Manifest& manifest : manifests) {
    order.emplace(manifest.name, order.size());
  }
  std::stable_sort(
      diagnostics.begin(), diagnostics.end(), [&](const Diagnostic& a, const Diagnostic& b) {
        return std::tuple(order[a.where.file], a.where.line) <
               std::tuple(order[b.where.file], b.where.line);
      });
}

}  // namespace

bool Loaded::ok() const {
  return std::none_of(diagnostics.begin(), diagnostics.end(), [](const Diagnostic& diagnostic) {
    return diagnostic.severity == Diagnostic::Severity::error;
  });
}

std::string to_string(const Diagnostic& diagnostic) {
  std::string out = to_string(diagnostic.where);
  out += diagnostic.severity == Diagnostic::Severity::error ? ": error: " : ": warning: ";
  if (!diagnostic.object.empty()) {
    out += diagnostic.object + ": ";
  }
  if (!diagnostic.field.empty()) {
    out += diagnostic.field + ": ";
  }
  return out + diagnostic.message;
}

Loaded load_part(std::span<const Manifest> manifests) {
  Loaded out;
  for (const Manifest& manifest : manifests) {
    load_one(manifest, out);
  }
  sort_unique("Namespace", out.snapshot.namespaces, out);
  sort_unique("Pod", out.snapshot.pods, out);
  sort_unique("Node", out.snapshot.nodes, out);
  sort_unique("NetworkPolicy", out.snapshot.policies, out);
  sort_diagnostics(manifests, out.diagnostics);
  return out;
}

Loaded load(std::span<const Manifest> manifests) {
  Loaded out = load_part(manifests);
  if (out.ok()) {
    warn_of_undeclared_namespaces(out);
    sort_diagnostics(manifests, out.diagnostics);
  }
  return out;
}

}  // namespace portcullis::policy
