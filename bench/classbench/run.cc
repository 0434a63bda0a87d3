// SPDX-License-Identifier: MIT
#include "bench/classbench/run.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "bench/agree.h"
#include "bench/baselines/acl.h"
#include "bench/baselines/ours.h"
#include "bench/baselines/tuple_space.h"
#include "bench/classbench/filters.h"
#include "bench/measure.h"

namespace portcullis::bench {
namespace {

/// Rules with their numbers, from 1, as answers. Earlier ones have the higher priority.
RuleLists listed(const FilterSet& filters) {
  RuleLists lists;
  for (std::size_t i = 0; i < filters.size(); ++i) {
    lists.rules.push_back({.rule = filters[i],
                           .priority = static_cast<std::uint32_t>(filters.size() - i),
                           .answer = static_cast<std::uint32_t>(i + 1)});
  }
  return lists;
}

/// Our rate over rte_acl's on one set; nothing where one of them is not there.
Result<std::optional<double>> run_set(const Options& options,
                                      const std::string& name,
                                      const FilterSet& filters,
                                      Report& report) {
  const RuleLists lists = listed(filters);
  const auto keys = make_filter_trace(filters, options.seed);
  std::vector<Entry> entries;
  std::vector<Row> absent;
  constexpr std::size_t kOurs = 0;
  std::optional<std::size_t> acl;
  PORTCULLIS_TRY(Entry made_ours, make_ours(filters));
  entries.push_back(std::move(made_ours));
  if (auto made = make_acl(lists)) {
    acl = entries.size();
    entries.push_back(*std::move(made));
  } else {
    absent.push_back({.contestant = "rte_acl", .absent = made.error().message});
  }
  entries.push_back(make_tuple_space(lists));
  entries.push_back(make_linear(lists));
  constexpr std::size_t kSample = 500;
  PORTCULLIS_TRY_VOID(agree(name, entries, {keys, kSample, options.compared_keys()}));

  std::vector<Row> rows;
  std::vector<Contestant*> contestants;
  for (const Entry& entry : entries) {
    rows.push_back(row_of(entry));
    contestants.push_back(entry.contestant.get());
    contestants.back()->load(keys);
  }
  const auto rates = rates_mlps(contestants, keys.size(), options.seconds());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].rates = {{"in rules", rates[i]}};
  }
  rows.insert(rows.end(), absent.begin(), absent.end());
  report.add({.part = "classbench", .name = name, .rules = filters.size()}, std::move(rows));
  return acl ? std::optional(rates[kOurs] / rates[*acl]) : std::nullopt;
}

/// Every generated set that there is time for, by name.
std::vector<std::pair<std::string, FilterSet>> generated(const Options& options) {
  std::vector<std::pair<std::string, FilterSet>> sets;
  for (const FilterKind kind : kFilterKinds) {
    for (const std::size_t thousands : {1, 10, 100}) {
      if (thousands < 100 || !options.quick) {
        sets.emplace_back(
            fmt::format("{}_{}k", to_string(kind), thousands),
            make_filters({.kind = kind, .rules = thousands * 1000, .seed = options.seed}));
      }
    }
  }
  return sets;
}

}  // namespace

Result<void> run_classbench(const Options& options, Report& report) {
  if (!options.rules.empty()) {
    for (const auto& path : options.rules) {
      PORTCULLIS_TRY(const FilterSet filters, load_filters(path));
      PORTCULLIS_TRY_VOID(run_set(options, path.filename().string(), filters, report));
    }
    return {};
  }
  double worst = std::numeric_limits<double>::infinity();
  for (const auto& [name, filters] : generated(options)) {
    PORTCULLIS_TRY(const auto ratio, run_set(options, name, filters, report));
    worst = std::min(worst, ratio.value_or(worst));
  }
  if (worst < std::numeric_limits<double>::infinity()) {
    report.at_least("classbench_min_ratio", worst, "ratio", 2);
  }
  return {};
}

}  // namespace portcullis::bench
