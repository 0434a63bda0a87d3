// SPDX-License-Identifier: MIT
#include "control/conntrack/top.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>

#include "control/conntrack/owners.h"
#include "observe/enforced.h"

namespace portcullis::control {
namespace {

using dataplane::FlowAnswer;
using dataplane::FlowGroup;
using dataplane::GroupedBy;
using nlohmann::json;

constexpr std::array<std::pair<std::string_view, TopWord>, 5> kWords{
    {{"source", {.by = GroupedBy::source}},
     {"destination", {.by = GroupedBy::destination}},
     {"pair", {.by = GroupedBy::pair}},
     {"port", {.by = GroupedBy::port}},
     {"namespace", {.by = GroupedBy::source, .namespaces = true}}}};

json counts_json(std::uint64_t flows, std::uint64_t error) {
  return {{"flows", flows}, {"at_least", flows - std::min(error, flows)}};
}

json group_json(const FlowGroup& group, GroupedBy by, const Owners& owners) {
  json body = counts_json(group.flows, group.error);
  if (by != GroupedBy::destination) {
    body["source"] = to_string(source_of(group));
    body["source_pod"] = owners.pod_name(source_of(group));
  }
  if (by == GroupedBy::destination || by == GroupedBy::pair) {
    body["destination"] = to_string(destination_of(group));
    body["destination_pod"] = owners.pod_name(destination_of(group));
  }
  if (by == GroupedBy::port) {
    body["protocol"] = observe::protocol_name(group.key.protocol);
    if (group.key.dst_port != 0) {
      body["destination_port"] = group.key.dst_port;
    }
  }
  return body;
}

/// Groups by the namespaces of their sources, most flows first.
json namespaces_json(std::span<const FlowGroup> groups,
                     std::size_t limit,
                     const policy::Snapshot& snapshot) {
  const Owners owners(groups, snapshot);
  struct Sum {
    std::string name;
    bool known = false;
    std::uint64_t flows = 0;
    std::uint64_t error = 0;
  };
  std::map<std::string, Sum> sums;
  for (const FlowGroup& group : groups) {
    const policy::Pod* const pod = owners.pod(source_of(group));
    Sum& sum = sums[pod == nullptr ? std::string() : pod->name_space];
    sum.name = pod == nullptr ? std::string() : pod->name_space;
    sum.known = pod != nullptr;
    sum.flows += group.flows;
    sum.error += group.error;
  }
  std::vector<Sum> order;
  for (const auto& [name, sum] : sums) {
    order.push_back(sum);
  }
  std::ranges::stable_sort(order, std::ranges::greater{}, &Sum::flows);
  order.resize(std::min(order.size(), limit));
  json list = json::array();
  for (const Sum& sum : order) {
    json body = counts_json(sum.flows, sum.error);
    body["namespace"] = sum.known ? json(sum.name) : json();
    list.push_back(std::move(body));
  }
  return list;
}

}  // namespace

std::optional<TopWord> top_word(std::string_view text) {
  const auto* const found =
      std::ranges::find(kWords, text, &std::pair<std::string_view, TopWord>::first);
  return found != kWords.end() ? std::optional(found->second) : std::nullopt;
}

std::vector<FlowAnswer> summed_up(std::vector<FlowAnswer> answers) {
  if (answers.empty()) {
    return answers;
  }
  std::vector<std::vector<FlowGroup>> counted;
  std::uint64_t missed = 0;
  for (FlowAnswer& answer : answers) {
    counted.push_back(std::exchange(answer.groups, {}));
    missed += std::exchange(answer.missed_max, 0);
  }
  answers.front().groups = dataplane::merge(counted);
  answers.front().missed_max = missed;
  return answers;
}

json top_json(std::span<const FlowAnswer> answers,
              TopWord word,
              std::size_t limit,
              const policy::Snapshot& snapshot) {
  const std::span<const FlowGroup> all =
      answers.empty() ? std::span<const FlowGroup>() : std::span(answers.front().groups);
  const std::uint64_t missed = answers.empty() ? 0 : answers.front().missed_max;
  json list = json::array();
  if (word.namespaces) {
    list = namespaces_json(all, limit, snapshot);
  } else {
    const std::span<const FlowGroup> shown = all.first(std::min(all.size(), limit));
    const Owners owners(shown, snapshot);
    for (const FlowGroup& group : shown) {
      list.push_back(group_json(group, word.by, owners));
    }
  }
  return {{"groups", std::move(list)}, {"missed_max", missed}};
}

}  // namespace portcullis::control
