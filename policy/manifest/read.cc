// SPDX-License-Identifier: MIT
// read_manifests(): files and directories -> manifests.
#include <algorithm>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "base/file.h"
#include "base/limits.h"
#include "policy/snapshot.h"

namespace portcullis::policy {
namespace {

namespace fs = std::filesystem;

bool is_manifest_name(const fs::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".yaml" || extension == ".yml" || extension == ".json";
}

/// The manifests below a directory, sorted. Hidden entries are passed over: a mounted ConfigMap
/// keeps a second copy of its files in one.
Result<std::vector<std::string>> list_directory(const std::string& root) {
  std::vector<std::string> out;
  std::error_code error;
  fs::recursive_directory_iterator at(root, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    const fs::path& path = at->path();
    std::error_code status_error;
    if (path.filename().string().starts_with(".")) {
      at.disable_recursion_pending();
    } else if (is_manifest_name(path) && !at->is_directory(status_error)) {
      out.push_back(path.string());
    }
  }
  if (error) {
    return fail(fmt::format("cannot read the directory: {}", error.message()), root);
  }
  if (out.empty()) {
    return fail("no *.yaml, *.yml or *.json file in this directory", root);
  }
  std::sort(out.begin(), out.end());
  return out;
}

Result<void> read_into(const std::string& path, std::vector<Manifest>& out) {
  PORTCULLIS_TRY(std::string text, read_file(path, limits::kManifestBytesMax));
  out.push_back({path == "-" ? "<stdin>" : path, std::move(text)});
  return {};
}

}  // namespace

Result<std::vector<Manifest>> read_manifests(std::span<const std::string> paths) {
  std::vector<Manifest> out;
  for (const std::string& path : paths) {
    std::error_code error;
    if (path == "-" || !fs::is_directory(path, error)) {
      PORTCULLIS_TRY_VOID(read_into(path, out));
      continue;
    }
    PORTCULLIS_TRY(const std::vector<std::string> files, list_directory(path));
    for (const std::string& file : files) {
      PORTCULLIS_TRY_VOID(read_into(file, out));
    }
  }
  return out;
}

}  // namespace portcullis::policy
