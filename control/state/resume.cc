// SPDX-License-Identifier: MIT
#include "control/state/resume.h"

#include <deque>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/log.h"
#include "base/time_text.h"

namespace portcullis::control {
namespace {

/// Every diagnostic to the log; the candidate, or why there is none.
Result<Candidate> told(Prepared prepared, const std::string& origin) {
  for (const auto& found : prepared ? prepared->warnings : prepared.error().diagnostics) {
    if (found.severity == policy::Diagnostic::Severity::error) {
      log::error("{}", to_string(found));
    } else {
      log::warn("{}", to_string(found));
    }
  }
  if (!prepared) {
    return fail(fmt::format("{}: {}", origin, prepared.error().message));
  }
  return *std::move(prepared);
}

Result<Candidate> compile_files(const Reconcile& reconcile,
                                std::span<const std::string> paths,
                                const Archive* archive) {
  PORTCULLIS_TRY(const auto manifests, policy::read_manifests(paths));
  PORTCULLIS_TRY(Candidate candidate, told(reconcile.prepare(manifests), "[policy] manifests"));
  if (archive != nullptr) {
    PORTCULLIS_TRY(candidate.content, archive->store(manifests));
  }
  return candidate;
}

/// A revision with its content, and why no newer one will do.
struct Usable {
  const KeptRevision* kept = nullptr;
  Archive::Content content;
  std::string why;  // Empty: it is the newest.
};

Result<Usable> newest_usable(const Archive& archive) {
  const auto& revisions = archive.revisions();
  std::string why;
  for (auto kept = revisions.rbegin(); kept != revisions.rend(); ++kept) {
    const std::uint64_t number = kept->revision.number;
    if (kept->on_trial) {
      log::warn("revision {} was on trial, and nobody had confirmed it", number);
      why += fmt::format("{}revision {} was not confirmed", why.empty() ? "" : "; ", number);
      continue;
    }
    auto content = archive.content(*kept);
    if (content) {
      return Usable{.kept = &*kept, .content = *std::move(content), .why = std::move(why)};
    }
    log::error("revision {} cannot be used: {}", number, to_string(content.error()));
    why += fmt::format("{}the content of revision {} is damaged", why.empty() ? "" : "; ", number);
  }
  return fail(
      "control.state: no revision of this archive can be used; the log says why. To begin "
      "anew with policy.manifests, move the folder away",
      archive.folder());
}

/// Keeps what is about to be enforced as a new revision, then enforces it.
Result<Applied> apply_kept(Reconcile& reconcile,
                           Archive* archive,
                           Candidate candidate,
                           Intent intent) {
  if (archive != nullptr) {
    PORTCULLIS_TRY_VOID(archive->append({.revision = reconcile.planned(candidate, intent)}));
  }
  auto applied = reconcile.apply(std::move(candidate), std::move(intent));
  if (!applied && archive != nullptr) {
    if (const auto taken = archive->take_back(); !taken) {
      log::error("{}", to_string(taken.error()));
    }
  }
  return applied;
}

}  // namespace

Result<Candidate> compile_files(const Reconcile& reconcile, std::span<const std::string> paths) {
  return compile_files(reconcile, paths, nullptr);
}

Result<Applied> enforce_first(Reconcile& reconcile,
                              Archive* archive,
                              std::span<const std::string> paths) {
  if (archive == nullptr || archive->revisions().empty()) {
    PORTCULLIS_TRY(Candidate candidate, compile_files(reconcile, paths, archive));
    return apply_kept(
        reconcile, archive, std::move(candidate), {.who = "portcullisd", .comment = "start"});
  }
  PORTCULLIS_TRY(const Usable usable, newest_usable(*archive));
  const Revision& from = usable.kept->revision;
  PORTCULLIS_TRY(Candidate candidate,
                 told(reconcile.prepare(usable.content.manifests, usable.content.steps),
                      fmt::format("revision {} of {}", from.number, archive->folder())));
  candidate.content = from.content;
  std::deque<Revision> history;
  for (const KeptRevision& kept : archive->revisions()) {
    history.push_back(kept.revision);
  }
  reconcile.recall(std::move(history), archive->next_number());
  log::info("enforcing revision {} of {}, by {} at {}; policy.manifests is for SIGHUP now",
            from.number,
            archive->folder(),
            from.intent.who,
            time_text(from.time));
  if (!usable.why.empty() || candidate.digest != from.digest) {
    Intent intent{.who = "portcullisd",
                  .comment = usable.why.empty() ? "another version reads it otherwise" : usable.why,
                  .rollback_to = from.number};
    PORTCULLIS_TRY(candidate.content, archive->whole_content(from.number));
    return apply_kept(reconcile, archive, std::move(candidate), std::move(intent));
  }
  return reconcile.resume(std::move(candidate));
}

}  // namespace portcullis::control
