// SPDX-License-Identifier: MIT
#include "control/state/archive.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/log.h"

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
    if (auto known = read_record(record)) {
      take(*std::move(known));
    } else {
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

void Archive::take(Record record) {
  if (record.kept) {
    next_number_ = std::max(next_number_, record.kept->revision.number + 1);
    revisions_.push_back(*std::move(record.kept));
    return;
  }
  for (KeptRevision& kept : revisions_) {
    kept.on_trial = kept.on_trial && kept.revision.number != record.confirmed;
  }
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

Result<void> Archive::start_journal() {
  std::vector<json> records;
  records.reserve(revisions_.size());
  for (const KeptRevision& kept : revisions_) {
    records.push_back(record_of(kept));
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

Result<std::string> Archive::store(std::span<const policy::Manifest> manifests) const {
  json list = json::array();
  for (const policy::Manifest& manifest : manifests) {
    list.push_back({{"name", manifest.name}, {"text", manifest.text}});
  }
  const std::string bytes =
      json{{"manifests", std::move(list)}}.dump(-1, ' ', false, json::error_handler_t::replace);
  std::string content = digest_of(bytes);
  PORTCULLIS_TRY_VOID(write_durably(content_path(content), bytes));
  return content;
}

Result<std::vector<policy::Manifest>> Archive::manifests(const std::string& content) const {
  const std::string path = content_path(content);
  PORTCULLIS_TRY(const std::string bytes, read_file(path, kContentBytesMax));
  json body;
  if (digest_of(bytes) == content) {
    body = json::parse(bytes, nullptr, /*allow_exceptions=*/false);
  }
  if (!body.is_object() || !body.contains("manifests") || !body["manifests"].is_array()) {
    return fail("is damaged: its bytes are not those that its name says", path);
  }
  std::vector<policy::Manifest> manifests;
  for (json& one : body["manifests"]) {
    if (!one.is_object() || !one["name"].is_string() || !one["text"].is_string()) {
      return fail("holds no manifests", path);
    }
    manifests.push_back({.name = std::move(one["name"].get_ref<std::string&>()),
                         .text = std::move(one["text"].get_ref<std::string&>())});
  }
  return manifests;
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
  PORTCULLIS_TRY_VOID(write(record_of(kept)));
  kept.revision.snapshot.reset();
  kept.revision.compiled.reset();
  next_number_ = kept.revision.number + 1;
  revisions_.push_back(std::move(kept));
  remove_unnamed();
  return {};
}

Result<void> Archive::take_back() {
  revisions_.pop_back();
  return journal_->take_back();
}

Result<void> Archive::confirm(std::uint64_t revision) {
  PORTCULLIS_TRY_VOID(write(confirmation_of(revision)));
  take({.confirmed = revision});
  return {};
}

}  // namespace portcullis::control
