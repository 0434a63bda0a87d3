// SPDX-License-Identifier: MIT
// Snapshot: the world at one moment: namespaces, pods, nodes, policies, with a content digest.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/model.h"

namespace portcullis::policy {

struct Snapshot {
  std::vector<Namespace> namespaces;  // Each list sorted by (namespace, name).
  std::vector<Pod> pods;
  std::vector<Node> nodes;
  std::vector<NetworkPolicy> policies;
  /// Kinds read and not used ("v1/Service"), with how many of each.
  std::map<std::string, std::size_t> skipped;
};

/// Something wrong (error) or doubtful (warning) in a manifest.
struct Diagnostic {
  enum class Severity : std::uint8_t { error, warning };
  Severity severity = Severity::error;
  Where where;
  std::string object;   // "NetworkPolicy shop/web", or empty where no object is known yet.
  std::string field;    // "spec.ingress[0].ports[1].port", or empty.
  std::string message;  // What is wrong and how to mend it.
};

/// "FILE:LINE:COLUMN: error: OBJECT: FIELD: MESSAGE", parts that are empty left out.
std::string to_string(const Diagnostic& diagnostic);

/// A manifest by its name and text, as read from disk or received on the control socket.
struct Manifest {
  std::string name;
  std::string text;
};

/// The snapshot and everything that was found wrong, in order of file and line. The snapshot may
/// be used only if ok().
struct Loaded {
  Snapshot snapshot;
  std::vector<Diagnostic> diagnostics;

  [[nodiscard]] bool ok() const;
};

/// Reads manifests: YAML (many documents), JSON, List kinds. Errors are collected, all of them.
Loaded load(std::span<const Manifest> manifests);
/// As load(), of objects that are part of something larger: none is missing that is not there.
Loaded load_part(std::span<const Manifest> manifests);

/// Reads the files at `paths`: a file, "-" for standard input, or a directory (its *.yaml, *.yml
/// and *.json files, recursively, in sorted order).
/// Errors: a path that does not exist or cannot be read.
Result<std::vector<Manifest>> read_manifests(std::span<const std::string> paths);

/// SHA-256-like content digest (hex) over everything that can change a verdict; provenance (file
/// names, line numbers) is not part of it. Equal content, whatever its order: equal digest.
std::string digest(const Snapshot& snapshot);
/// Likewise of one policy.
std::string digest(const NetworkPolicy& policy);

/// An object of a snapshot by its name.
struct Object {
  std::string kind;
  std::string name;  // "NAMESPACE/NAME", or "NAME" where it is in none.
  Where where;
  std::string digest;  // Of what digest() takes of it.
};

/// Every object, by kind, and of a kind by name.
std::vector<Object> objects(const Snapshot& snapshot);

}  // namespace portcullis::policy
