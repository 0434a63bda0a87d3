// SPDX-License-Identifier: MIT
#include "control/state/record.h"

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <limits>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

namespace portcullis::control {
namespace {

using nlohmann::json;
using std::chrono::microseconds;

/// The numbers of a revision that are only told, by their names.
template <typename Told>
struct Number {
  const char* name;
  std::size_t Told::*member;
};

constexpr std::array<Number<Counts>, 7> kCounts{{{"namespaces", &Counts::namespaces},
                                                 {"pods", &Counts::pods},
                                                 {"nodes", &Counts::nodes},
                                                 {"policies", &Counts::policies},
                                                 {"rules", &Counts::rules},
                                                 {"static_rules", &Counts::static_rules},
                                                 {"skipped", &Counts::skipped}}};

using classifier::TableSizes;
constexpr std::array<Number<TableSizes>, 10> kSizes{
    {{"total", &TableSizes::total},
     {"address_map_v4", &TableSizes::address_map_v4},
     {"address_map_v6", &TableSizes::address_map_v6},
     {"port_map", &TableSizes::port_map},
     {"matrices", &TableSizes::matrices},
     {"profiles", &TableSizes::profiles},
     {"permits", &TableSizes::permits},
     {"classes", &TableSizes::classes},
     {"port_classes", &TableSizes::port_classes},
     {"profile_count", &TableSizes::profile_count}}};

template <typename Told, std::size_t N>
json numbers_json(const Told& told, const std::array<Number<Told>, N>& numbers) {
  json body = json::object();
  for (const Number<Told>& number : numbers) {
    body[number.name] = told.*number.member;
  }
  return body;
}

/// Reads members of one record; remembers the first that is not what it must be.
class Reader {
 public:
  explicit Reader(const json& body) : body_(body) {}

  template <typename Value>
  void read(const char* name, Value& value) {
    const auto found = body_.find(name);
    bool fits = found != body_.end();
    if constexpr (std::same_as<Value, std::string>) {
      fits = fits && found->is_string();
    } else if constexpr (std::same_as<Value, bool>) {
      fits = fits && found->is_boolean();
    } else if constexpr (std::is_unsigned_v<Value>) {
      fits = fits && found->is_number_unsigned();
    } else {
      static_assert(std::same_as<Value, std::int64_t>);
      fits = fits && found->is_number_integer();
    }
    if (fits) {
      value = found->get<Value>();
    } else if (problem_.empty()) {
      problem_ = name;
    }
  }
  template <typename Told, std::size_t N>
  void read(const char* name, Told& told, const std::array<Number<Told>, N>& numbers) {
    const auto found = body_.find(name);
    if (found == body_.end() || !found->is_object()) {
      problem_ = name;
      return;
    }
    Reader inner(*found);
    for (const Number<Told>& number : numbers) {
      inner.read(number.name, told.*number.member);
    }
    problem_ = problem_.empty() ? inner.problem_ : problem_;
  }

  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  const json& body_;
  std::string problem_;
};

/// Empty: they are no list of at least one.
KeptSteps steps_of(const json& batches) {
  if (!batches.is_array() || batches.empty()) {
    return {};
  }
  return {.list = std::make_shared<std::vector<json>>(batches.begin(), batches.end()),
          .count = batches.size()};
}

}  // namespace

json record_of(const KeptRevision& kept, std::size_t first) {
  const Revision& revision = kept.revision;
  const auto since_epoch =
      std::chrono::duration_cast<microseconds>(revision.time.time_since_epoch());
  json record = {{"revision", revision.number},
                 {"time_us", since_epoch.count()},
                 {"who", revision.intent.who},
                 {"comment", revision.intent.comment},
                 {"digest", revision.digest},
                 {"table_digest", revision.table_digest},
                 {"content", revision.content},
                 {"counts", numbers_json(revision.counts, kCounts)},
                 {"table", numbers_json(revision.table, kSizes)},
                 {"duration_us", revision.duration.count()},
                 {"on_trial", kept.on_trial}};
  if (revision.intent.rollback_to) {
    record["rollback_to"] = *revision.intent.rollback_to;
  }
  if (revision.batches != 0) {
    record["single"] = revision.batches;
  }
  if (kept.steps.count > first) {
    record["after"] = kept.after;
    record["replaces"] = kept.replaces;
    json& batches = record["batches"] = json::array();
    for (std::size_t i = first; i < kept.steps.count; ++i) {
      batches.push_back((*kept.steps.list)[i]);
    }
  }
  return record;
}

json confirmation_of(std::uint64_t revision) {
  return {{"confirmed", revision}};
}

Result<Record> read_record(const json& record) {
  Record read;
  Reader reader(record);
  if (record.contains("confirmed")) {
    reader.read("confirmed", read.confirmed);
  } else {
    KeptRevision& kept = read.kept.emplace();
    Revision& revision = kept.revision;
    std::int64_t time_us = 0;
    std::int64_t duration_us = 0;
    reader.read("revision", revision.number);
    reader.read("time_us", time_us);
    reader.read("who", revision.intent.who);
    reader.read("comment", revision.intent.comment);
    reader.read("digest", revision.digest);
    reader.read("table_digest", revision.table_digest);
    reader.read("content", revision.content);
    reader.read("counts", revision.counts, kCounts);
    reader.read("table", revision.table, kSizes);
    reader.read("duration_us", duration_us);
    reader.read("on_trial", kept.on_trial);
    if (record.contains("rollback_to")) {
      reader.read("rollback_to", revision.intent.rollback_to.emplace());
    }
    if (record.contains("single")) {
      reader.read("single", revision.batches);
    }
    if (record.contains("batches")) {
      reader.read("after", kept.after);
      reader.read("replaces", kept.replaces);
      kept.steps = steps_of(record["batches"]);
      if (kept.steps.count == 0) {
        return fail("a record has no usable \"batches\"");
      }
    }
    // A time is kept in nanoseconds.
    constexpr std::int64_t kTimeMax = std::numeric_limits<std::int64_t>::max() / 1000;
    if (time_us < 0 || time_us > kTimeMax) {
      return fail(fmt::format("a record has the time {}, which none can have", time_us));
    }
    revision.time = Instant(std::chrono::duration_cast<Instant::duration>(microseconds(time_us)));
    revision.duration = microseconds(duration_us);
  }
  if (!reader.problem().empty()) {
    return fail(fmt::format("a record has no usable \"{}\"", reader.problem()));
  }
  return read;
}

}  // namespace portcullis::control
