// SPDX-License-Identifier: MIT
#include "policy/edit.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>

#include <fmt/format.h>

namespace portcullis::policy {
namespace {

struct Word {
  std::string_view text;
  Kind kind = Kind::pod;
  Verb verb = Verb::set;
};

constexpr std::array kWords{
    Word{.text = "pod.add", .kind = Kind::pod, .verb = Verb::add},
    Word{.text = "pod.set", .kind = Kind::pod, .verb = Verb::set},
    Word{.text = "pod.remove", .kind = Kind::pod, .verb = Verb::remove},
    Word{.text = "policy.add", .kind = Kind::policy, .verb = Verb::add},
    Word{.text = "policy.set", .kind = Kind::policy, .verb = Verb::set},
    Word{.text = "policy.remove", .kind = Kind::policy, .verb = Verb::remove},
};

/// A namespace has 63 bytes at most, a name 253.
constexpr std::size_t kNameBytesMax = 63 + 1 + 253;

const char* kind_name(Kind kind) {
  return kind == Kind::pod ? "Pod" : "NetworkPolicy";
}

/// Reads the steps one after another.
class Reader {
 public:
  void read(const Step& step) {
    if (step.verb == Verb::remove) {
      for (const std::string& name : step.names) {
        read_name(step, name);
      }
    } else {
      read_manifests(step);
    }
  }

  tl::expected<std::vector<Edit>, std::vector<Diagnostic>> finish() {
    const bool is_wrong = std::any_of(diagnostics_.begin(), diagnostics_.end(), [](const auto& d) {
      return d.severity == Diagnostic::Severity::error;
    });
    if (is_wrong) {
      return tl::unexpected(std::move(diagnostics_));
    }
    return std::move(edits_);
  }

 private:
  void read_name(const Step& step, const std::string& name) {
    if (name.size() > kNameBytesMax) {
      diagnostics_.push_back(
          {.object = to_string(step.kind, step.verb),
           .message = fmt::format("a text of {} bytes is not namespace/name", name.size())});
      return;
    }
    const std::size_t slash = name.find('/');
    if (slash == 0 || slash == std::string::npos || slash + 1 == name.size() ||
        name.find('/', slash + 1) != std::string::npos) {
      diagnostics_.push_back({.object = to_string(step.kind, step.verb),
                              .message = fmt::format("\"{}\" is not namespace/name", name)});
      return;
    }
    edits_.push_back({.kind = step.kind,
                      .verb = step.verb,
                      .key = {name.substr(0, slash), name.substr(slash + 1)}});
  }

  void read_manifests(const Step& step) {
    Loaded loaded = load_part(step.manifests);
    std::move(
        loaded.diagnostics.begin(), loaded.diagnostics.end(), std::back_inserter(diagnostics_));
    Snapshot& part = loaded.snapshot;
    for (const Object& object : objects(part)) {
      if (object.kind != kind_name(step.kind)) {
        refuse_kind(step, object.where, object.kind);
      }
    }
    for (const auto& [kind, count] : part.skipped) {
      refuse_kind(step, {}, kind);
    }
    if (step.kind == Kind::pod) {
      for (Pod& pod : part.pods) {
        ObjectKey key{pod.name_space, pod.name};
        edits_.push_back({.kind = step.kind,
                          .verb = step.verb,
                          .key = std::move(key),
                          .pod = std::make_shared<const Pod>(std::move(pod))});
      }
    } else {
      for (NetworkPolicy& policy : part.policies) {
        ObjectKey key{policy.name_space, policy.name};
        edits_.push_back({.kind = step.kind,
                          .verb = step.verb,
                          .key = std::move(key),
                          .policy = std::make_shared<const NetworkPolicy>(std::move(policy))});
      }
    }
  }

  void refuse_kind(const Step& step, const Where& where, std::string_view kind) {
    diagnostics_.push_back({.where = where,
                            .object = to_string(step.kind, step.verb),
                            .message = fmt::format("takes objects of kind {}, not {}: leave it "
                                                   "out, or commit the whole",
                                                   kind_name(step.kind),
                                                   kind)});
  }

  std::vector<Edit> edits_;
  std::vector<Diagnostic> diagnostics_;
};

}  // namespace

std::optional<std::pair<Kind, Verb>> parse_step(std::string_view text) {
  const auto* const found = std::ranges::find(kWords, text, &Word::text);
  return found == kWords.end() ? std::nullopt : std::optional(std::pair(found->kind, found->verb));
}

std::string to_string(Kind kind, Verb verb) {
  const auto* const found = std::ranges::find_if(
      kWords, [&](const Word& word) { return word.kind == kind && word.verb == verb; });
  return std::string(found->text);
}

std::string title(Kind kind, const ObjectKey& key) {
  return fmt::format("{} {}/{}", kind_name(kind), key.first, key.second);
}

tl::expected<std::vector<Edit>, std::vector<Diagnostic>> edits_of(std::span<const Step> steps) {
  Reader reader;
  for (const Step& step : steps) {
    reader.read(step);
  }
  return reader.finish();
}

}  // namespace portcullis::policy
