// SPDX-License-Identifier: MIT
#include "control/state/archive.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <set>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/digest.h"
#include "base/log.h"
#include "control/change/steps.h"
#include "control/client/manifests.h"

namespace portcullis::control {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::size_t kJournalBytesMax = std::size_t{256} << 20U;
constexpr std::size_t kContentBytesMax = std::size_t{8} << 30U;
/// Records appended before the journal is written anew, without those that are history.
constexpr std::size_t kAppendedMax = 1000;

Result<void> make_folder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(fs::path(folder) / "contents", error);
  if (!error) {
    fs::permissions(folder, fs::perms::owner_all, error);
  }
  if (error) {
    return fail("control.state: cannot make the folder: " + error.message(), folder);
  }
  return {};
}

Result<UniqueFd> lock_in(const std::string& folder) {
  const std::string path = folder + "/lock";
  UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) {
    return fail(fmt::format("control.state: cannot open the lock file: {}", std::strerror(errno)),
                path);
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(
        "control.state: another daemon keeps its state here: stop it, or give this one a "
        "folder of its own",
        folder);
  }
  return lock;
}

std::ptrdiff_t count_of(const KeptSteps& steps) {
  return static_cast<std::ptrdiff_t>(steps.count);
}

/// To a content as read_content() gives it.
void add_steps(json& body, const KeptSteps& steps) {
  auto& batches = body["batches"].get_ref<json::array_t&>();
  batches.insert(batches.end(), steps.list->begin(), steps.list->begin() + count_of(steps));
}

std::string digest_of(std::string_view bytes) {
  return Digest().add(bytes).finish();
}

}  // namespace

Archive::Archive(std::string folder, std::size_t revisions_max, UniqueFd lock)
    : folder_(std::move(folder)), revisions_max_(revisions_max), lock_(std::move(lock)) {}

Result<Archive> Archive::open(const std::string& folder, std::size_t revisions_max) {
  PORTCULLIS_TRY_VOID(make_folder(folder));
  PORTCULLIS_TRY(UniqueFd lock, lock_in(folder));
  Archive archive(folder, revisions_max, std::move(lock));
  PORTCULLIS_TRY_VOID(archive.load());
  archive.trim();
  PORTCULLIS_TRY_VOID(archive.start_journal());
  archive.remove_unnamed();
  return archive;
}

std::string Archive::journal_path() const {
  return folder_ + "/journal";
}

std::string Archive::content_path(const std::string& content) const {
  return fmt::format("{}/contents/{}.json", folder_, content);
}

Result<void> Archive::load() {
  const std::string path = journal_path();
  if (std::error_code error; !fs::exists(path, error) && !error) {
    return {};
  }
  PORTCULLIS_TRY(const std::string text, read_file(path, kJournalBytesMax));
  auto read = parse_journal(text);
  if (!read) {
    return fail(read.error().message, path);
  }
  std::size_t unusable = read->damaged.size();
  for (const json& record : read->records) {
    auto known = read_record(record).and_then([this](Record one) { return take(std::move(one)); });
    if (!known) {
      log::error("{}: {}", path, known.error().message);
      ++unusable;
    }
  }
  if (unusable == 0) {
    return {};
  }
  if (revisions_.empty()) {
    return fail(
        "nothing of this journal can be used. To begin anew with policy.manifests, move "
        "the folder away",
        path);
  }
  // A number is never used twice, and a damaged line may have been a revision.
  next_number_ += unusable;
  const std::string aside = path + ".damaged";
  ::unlink(aside.c_str());
  const bool is_kept = ::link(path.c_str(), aside.c_str()) == 0;
  log::error(
      "{}: {} of its lines cannot be used (damaged: {}), and the rest goes on without them{}",
      path,
      unusable,
      fmt::join(read->damaged, ", "),
      is_kept ? "; it is kept as " + aside : "");
  return {};
}

Result<void> Archive::take(Record record) {
  if (record.kept) {
    next_number_ = std::max(next_number_, record.kept->revision.number + 1);
    if (record.kept->steps.count != 0) {
      return follow(*std::move(record.kept));
    }
    revisions_.push_back(*std::move(record.kept));
    return {};
  }
  for (KeptRevision& kept : revisions_) {
    kept.on_trial = kept.on_trial && kept.revision.number != record.confirmed;
  }
  return {};
}

/// Takes a revision that goes on from the newest one; its own steps are put behind those of that.
Result<void> Archive::follow(KeptRevision kept) {
  if (revisions_.empty() || revisions_.back().revision.number != kept.after) {
    return fail(fmt::format("revision {} goes on from revision {}, which is not there",
                            kept.revision.number,
                            kept.after));
  }
  const KeptRevision& before = revisions_.back();
  KeptSteps steps = before.steps;
  if (!steps.list || steps.list->size() != steps.count) {
    // None, or others went on from there, too.
    steps.list = steps.list ? std::make_shared<std::vector<json>>(
                                  steps.list->begin(),
                                  steps.list->begin() + static_cast<std::ptrdiff_t>(steps.count))
                            : std::make_shared<std::vector<json>>();
  }
  steps.list->insert(steps.list->end(), kept.steps.list->begin(), kept.steps.list->end());
  steps.count = steps.list->size();
  kept.steps = std::move(steps);
  kept.revision.content = before.revision.content;
  replaced_.reset();
  if (std::exchange(kept.replaces, false)) {
    kept.after = before.after;
    replaced_ = std::move(revisions_.back());
    revisions_.pop_back();
  }
  revisions_.push_back(std::move(kept));
  return {};
}

void Archive::trim() {
  const auto settled = std::find_if(
      revisions_.rbegin(), revisions_.rend(), [](const auto& kept) { return !kept.on_trial; });
  const std::uint64_t needed = settled == revisions_.rend() ? 0 : settled->revision.number;
  while (revisions_.size() > revisions_max_) {
    const bool skips = revisions_.front().revision.number == needed;
    if (skips && revisions_.size() == revisions_max_ + 1) {
      return;
    }
    revisions_.erase(revisions_.begin() + (skips ? 1 : 0));
  }
}

/// Puts steps whose beginning is no longer in the history into contents of their own.
Result<void> Archive::gather_steps() {
  std::size_t i = 0;
  while (i < revisions_.size()) {
    const KeptSteps steps = revisions_[i].steps;
    const bool follows = i > 0 && revisions_[i - 1].revision.number == revisions_[i].after;
    if (steps.count == 0 || follows) {
      ++i;
      continue;
    }
    auto body = read_content(revisions_[i].revision.content);
    if (!body) {
      log::error(
          "revision {} is given up: {}", revisions_[i].revision.number, to_string(body.error()));
      std::erase_if(revisions_, [&](const auto& one) { return one.steps.list == steps.list; });
      continue;
    }
    add_steps(*body, steps);
    PORTCULLIS_TRY(const std::string content, store(*body));
    const auto rest = std::make_shared<std::vector<json>>(steps.list->begin() + count_of(steps),
                                                          steps.list->end());
    for (std::size_t later = i; later < revisions_.size(); ++later) {
      KeptRevision& one = revisions_[later];
      if (one.steps.list == steps.list && one.steps.count >= steps.count) {
        one.revision.content = content;
        one.steps = {.list = rest, .count = one.steps.count - steps.count};
      }
    }
  }
  return {};
}

Result<void> Archive::start_journal() {
  PORTCULLIS_TRY_VOID(gather_steps());
  std::vector<json> records;
  records.reserve(revisions_.size());
  for (std::size_t i = 0; i < revisions_.size(); ++i) {
    records.push_back(record_of(revisions_[i], i == 0 ? 0 : revisions_[i - 1].steps.count));
  }
  PORTCULLIS_TRY(journal_, Journal::create(journal_path(), records));
  appended_ = 0;
  return {};
}

void Archive::remove_unnamed() const {
  std::set<std::string> named;
  for (const KeptRevision& kept : revisions_) {
    named.insert(content_path(kept.revision.content));
  }
  std::error_code error;
  for (const auto& file : fs::directory_iterator(folder_ + "/contents", error)) {
    if (!named.contains(file.path().string())) {
      fs::remove(file.path(), error);
    }
  }
}

Result<std::string> Archive::store(const json& body) const {
  const std::string bytes = body.dump(-1, ' ', false, json::error_handler_t::replace);
  std::string content = digest_of(bytes);
  PORTCULLIS_TRY_VOID(write_durably(content_path(content), bytes));
  return content;
}

Result<std::string> Archive::store(std::span<const policy::Manifest> manifests) const {
  return store(json{{"manifests", manifests_json(manifests)}});
}

Result<json> Archive::read_content(const std::string& content) const {
  const std::string path = content_path(content);
  PORTCULLIS_TRY(const std::string bytes, read_file(path, kContentBytesMax));
  json body;
  if (digest_of(bytes) == content) {
    body = json::parse(bytes, nullptr, /*allow_exceptions=*/false);
  }
  if (!body.is_object() || !body.contains("manifests")) {
    return fail("is damaged: its bytes are not those that its name says", path);
  }
  if (!body["batches"].is_array()) {
    body["batches"] = json::array();
  }
  return body;
}

Result<Archive::Content> Archive::content(const KeptRevision& kept) const {
  PORTCULLIS_TRY(json body, read_content(kept.revision.content));
  Content content;
  PORTCULLIS_TRY(content.manifests, read_manifests(body["manifests"]));
  std::vector<json> batches(body["batches"].begin(), body["batches"].end());
  if (kept.steps.list) {
    batches.insert(
        batches.end(), kept.steps.list->begin(), kept.steps.list->begin() + count_of(kept.steps));
  }
  for (json& batch : batches) {
    PORTCULLIS_TRY(std::vector<policy::Step> steps, read_steps(batch));
    std::move(steps.begin(), steps.end(), std::back_inserter(content.steps));
  }
  return content;
}

Result<const KeptRevision*> Archive::find(std::uint64_t revision) const {
  const auto found = std::ranges::find(
      revisions_, revision, [](const KeptRevision& kept) { return kept.revision.number; });
  if (found == revisions_.end()) {
    return fail(fmt::format("revision {} is no longer kept", revision), folder_);
  }
  return &*found;
}

Result<Archive::Content> Archive::content(std::uint64_t revision) const {
  PORTCULLIS_TRY(const KeptRevision* const kept, find(revision));
  return content(*kept);
}

Result<std::string> Archive::whole_content(std::uint64_t revision) const {
  PORTCULLIS_TRY(const KeptRevision* const kept, find(revision));
  PORTCULLIS_TRY(json body, read_content(kept->revision.content));
  if (kept->steps.count == 0) {
    return kept->revision.content;
  }
  add_steps(body, kept->steps);
  return store(body);
}

Result<void> Archive::write(const json& record) {
  if (appended_ >= kAppendedMax) {
    PORTCULLIS_TRY_VOID(start_journal());
  }
  PORTCULLIS_TRY_VOID(journal_->append(record));
  ++appended_;
  return {};
}

Result<void> Archive::append(KeptRevision kept) {
  trim();
  kept.revision.world.reset();
  kept.revision.compiled.reset();
  PORTCULLIS_TRY_VOID(write(record_of(kept)));
  PORTCULLIS_CHECK(take({.kept = std::move(kept)}));
  replaced_.reset();
  remove_unnamed();
  return {};
}

Result<void> Archive::append(KeptRevision kept, std::span<const policy::Step> steps) {
  PORTCULLIS_CHECK(!revisions_.empty());
  trim();
  kept.revision.world.reset();
  kept.revision.compiled.reset();
  kept.after = revisions_.back().revision.number;
  kept.replaces = kept.revision.batches > 1;
  kept.steps = {.list = std::make_shared<std::vector<json>>(1, steps_json(steps)), .count = 1};
  if (appended_ >= kAppendedMax) {
    PORTCULLIS_TRY_VOID(start_journal());
    remove_unnamed();
  }
  kept.revision.content = revisions_.back().revision.content;
  PORTCULLIS_TRY_VOID(write(record_of(kept)));
  return follow(std::move(kept));
}

Result<void> Archive::take_back() {
  KeptRevision last = std::move(revisions_.back());
  revisions_.pop_back();
  if (last.steps.count != 0) {
    last.steps.list->pop_back();
  }
  if (replaced_) {
    revisions_.push_back(*std::exchange(replaced_, std::nullopt));
  }
  return journal_->take_back();
}

Result<void> Archive::confirm(std::uint64_t revision) {
  PORTCULLIS_TRY_VOID(write(confirmation_of(revision)));
  return take({.confirmed = revision});
}

}  // namespace portcullis::control
