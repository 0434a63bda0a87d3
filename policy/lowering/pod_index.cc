// SPDX-License-Identifier: MIT
#include "policy/lowering/pod_index.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "policy/selector.h"

namespace portcullis::policy {

namespace {

/// Runs shorter than this are scanned: cheaper than choosing a list.
constexpr std::uint32_t kScanMax = 16;

using Slice = std::span<const std::uint32_t>;

Slice slice(const Positions& positions, std::uint32_t begin, std::uint32_t end) {
  const auto first = std::lower_bound(positions.begin(), positions.end(), begin);
  const auto last = std::lower_bound(first, positions.end(), end);
  return {first, last};
}

}  // namespace

PodIndex::PodIndex(std::span<const Pod* const> pods, std::span<const Namespace> namespaces)
    : pods_(pods) {
  for (std::uint32_t i = 0; i < pods.size(); ++i) {
    const Pod& pod = *pods[i];
    if (runs_.empty() || *runs_.back().name != pod.name_space) {
      PORTCULLIS_CHECK(runs_.empty() || *runs_.back().name < pod.name_space);
      run_of_.emplace(pod.name_space, static_cast<std::uint32_t>(runs_.size()));
      runs_.push_back({i, i, &pod.name_space, nullptr});
    }
    runs_.back().end = i + 1;
    for (const auto& [key, value] : pod.labels) {
      Key& entry = keys_[key];
      entry.pods.push_back(i);
      entry.by_value[value].push_back(i);
    }
  }
  for (const Namespace& name_space : namespaces) {
    if (const auto found = run_of_.find(name_space.name); found != run_of_.end()) {
      runs_[found->second].labels = &name_space.labels;
    }
  }
}

Positions PodIndex::select(const std::string& name_space, const Selector& selector) const {
  Positions picked;
  if (const auto found = run_of_.find(name_space); found != run_of_.end()) {
    select_in(runs_[found->second], selector, picked);
  }
  return picked;
}

Positions PodIndex::select(const std::string& name_space, const PodPeer& peer) const {
  if (!peer.namespaces) {
    return select(name_space, peer.pods);
  }
  Positions picked;
  if (peer.namespaces->requirements.empty()) {
    select_in({0, static_cast<std::uint32_t>(pods_.size()), nullptr, nullptr}, peer.pods, picked);
    return picked;
  }
  static const Labels kNone;
  for (const Run& run : runs_) {
    if (matches(*peer.namespaces, run.labels == nullptr ? kNone : *run.labels)) {
      select_in(run, peer.pods, picked);
    }
  }
  return picked;
}

void PodIndex::select_in(const Run& run, const Selector& selector, Positions& picked) const {
  const auto pick = [&](std::uint32_t position) {
    if (matches(selector, pods_[position]->labels)) {
      picked.push_back(position);
    }
  };
  Positions candidates;
  if (run.end - run.begin > kScanMax && narrow(run, selector, candidates)) {
    std::for_each(candidates.begin(), candidates.end(), pick);
    return;
  }
  for (std::uint32_t position = run.begin; position < run.end; ++position) {
    pick(position);
  }
}

/// Candidates from the requirement that leaves the fewest; false if none of them narrows.
bool PodIndex::narrow(const Run& run, const Selector& selector, Positions& out) const {
  std::vector<Slice> best;
  std::size_t best_size = run.end - run.begin;
  bool narrowed = false;
  for (const Requirement& requirement : selector.requirements) {
    const bool in = requirement.op == Requirement::Operator::in;
    if (!in && requirement.op != Requirement::Operator::exists) {
      continue;
    }
    std::vector<Slice> slices;
    if (const auto key = keys_.find(requirement.key); key != keys_.end()) {
      if (!in) {
        slices.push_back(slice(key->second.pods, run.begin, run.end));
      }
      for (const std::string& value : in ? requirement.values : std::vector<std::string>{}) {
        if (const auto found = key->second.by_value.find(value);
            found != key->second.by_value.end()) {
          slices.push_back(slice(found->second, run.begin, run.end));
        }
      }
    }
    std::size_t size = 0;
    for (const Slice& part : slices) {
      size += part.size();
    }
    if (size < best_size) {
      best = std::move(slices);
      best_size = size;
      narrowed = true;
    }
  }
  for (const Slice& part : best) {
    out.insert(out.end(), part.begin(), part.end());
  }
  // `in` may list a value twice.
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return narrowed;
}

}  // namespace portcullis::policy
