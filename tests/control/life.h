// SPDX-License-Identifier: MIT
// A control plane with its state in a folder, from its start to its end, for tests; and damage to
// that folder.
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "control/state/archive.h"
#include "control/state/resume.h"
#include "tests/control/live_commands.h"

namespace portcullis::control {

inline constexpr std::size_t kRevisionsMax = 4;

inline std::string digest_with(int port) {
  return policy::digest(policy::load(shop({port})).snapshot);
}

inline std::string text_of(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

inline void put_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::trunc) << text;
}

/// A control plane from its start to its end, with its state in a folder. Without policies of its
/// own it begins with those of shop({80}).
class Life {
 public:
  explicit Life(const ScratchFolder& folder) {
    const std::string manifests = folder.file("manifests");
    if (!std::filesystem::exists(manifests)) {
      std::filesystem::create_directory(manifests);
      for (const policy::Manifest& one : shop({80})) {
        put_text(std::filesystem::path(manifests) / one.name, one.text);
      }
    }
    auto archive = Archive::open(folder.file("state"), kRevisionsMax);
    if (!archive) {
      refusal_ = to_string(archive.error());
      return;
    }
    plane_.archive_ = *std::move(archive);
    const auto first =
        enforce_first(plane_.reconcile_, &*plane_.archive_, std::span(&manifests, 1));
    if (!first) {
      refusal_ = to_string(first.error());
    }
  }

  /// Why it did not start; empty: it did.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }
  Answer commit(int port, nlohmann::json more = nlohmann::json::object()) {
    for (const policy::Manifest& one : shop({port})) {
      more["manifests"].push_back({{"name", one.name}, {"text", one.text}});
    }
    return plane_.call("commit", more);
  }
  [[nodiscard]] nlohmann::json running() { return (*plane_.call("status"))["running"]; }
  [[nodiscard]] int revision() { return running()["revision"].get<int>(); }
  LivePlane& plane() { return plane_; }

 private:
  std::string refusal_;
  LivePlane plane_;
};

/// Cuts a file off, and says so, or flips a bit of it.
inline bool damage(const std::filesystem::path& path, std::mt19937_64& random) {
  std::string text = text_of(path);
  PORTCULLIS_CHECK(!text.empty());
  const std::size_t at = random() % text.size();
  const bool cuts = random() % 2 == 0;
  if (cuts) {
    text.resize(at);
  } else {
    text[at] = static_cast<char>(static_cast<unsigned char>(text[at]) ^ (1U << random() % 8));
  }
  put_text(path, text);
  return cuts;
}

}  // namespace portcullis::control
