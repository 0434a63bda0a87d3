// SPDX-License-Identifier: MIT
#include "policy/lowering/pod_index.h"

#include <algorithm>
#include <numeric>
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

void LabelIndex::add(std::uint32_t owner, const Labels& labels) {
  last_.resize(std::max(last_.size(), labels.size()));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto& [key, value] = labels[i];
    Last& last = last_[i];
    if (last.of_key == nullptr || last.key != key) {
      last = {.key = key, .of_key = &keys_[key]};
    }
    if (last.of_value == nullptr || last.value != value) {
      last.value = value;
      last.of_value = &last.of_key->by_value[value];
    }
    last.of_key->owners.push_back(owner);
    last.of_value->push_back(owner);
  }
}

std::optional<LabelIndex::Candidates> LabelIndex::narrow(std::uint32_t begin,
                                                         std::uint32_t end,
                                                         const Selector& selector) const {
  std::vector<Slice> best;
  std::size_t best_size = end - begin;
  bool narrowed = false;
  for (const Requirement& requirement : selector.requirements) {
    const bool in = requirement.op == Requirement::Operator::in;
    if (!in && requirement.op != Requirement::Operator::exists) {
      continue;
    }
    std::vector<Slice> slices;
    if (const auto key = keys_.find(requirement.key); key != keys_.end()) {
      if (!in) {
        slices.push_back(slice(key->second.owners, begin, end));
      }
      for (std::size_t i = 0; in && i < requirement.values.size(); ++i) {
        const auto found = key->second.by_value.find(requirement.values[i]);
        if (found != key->second.by_value.end()) {
          slices.push_back(slice(found->second, begin, end));
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
  if (!narrowed) {
    return std::nullopt;
  }
  Candidates out{.exact = selector.requirements.size() == 1};
  out.owners.reserve(best_size);
  for (const Slice& part : best) {
    out.owners.insert(out.owners.end(), part.begin(), part.end());
  }
  if (best.size() > 1) {  // `in` may list a value twice.
    std::sort(out.owners.begin(), out.owners.end());
    out.owners.erase(std::unique(out.owners.begin(), out.owners.end()), out.owners.end());
  }
  return out;
}

PodIndex::PodIndex(std::span<const Pod* const> pods, std::span<const Namespace> namespaces)
    : pods_(pods) {
  static const Labels kNone;
  for (std::uint32_t i = 0; i < pods.size(); ++i) {
    const Pod& pod = *pods[i];
    if (runs_.empty() || *runs_.back().name != pod.name_space) {
      PORTCULLIS_CHECK(runs_.empty() || *runs_.back().name < pod.name_space);
      run_of_.emplace(pod.name_space, static_cast<std::uint32_t>(runs_.size()));
      runs_.push_back({i, i, &pod.name_space, &kNone});
    }
    runs_.back().end = i + 1;
    pod_labels_.add(i, pod.labels);
  }
  for (const Namespace& name_space : namespaces) {
    if (const auto found = run_of_.find(name_space.name); found != run_of_.end()) {
      runs_[found->second].labels = &name_space.labels;
    }
  }
  for (std::uint32_t i = 0; i < runs_.size(); ++i) {
    run_labels_.add(i, *runs_[i].labels);
  }
}

Positions PodIndex::select(const std::string& name_space, const Selector& selector) const {
  Positions picked;
  if (const auto found = run_of_.find(name_space); found != run_of_.end()) {
    const Run& run = runs_[found->second];
    select_in(run.begin, run.end, selector, picked);
  }
  return picked;
}

Positions PodIndex::select(const std::string& name_space, const PodPeer& peer) const {
  if (!peer.namespaces) {
    return select(name_space, peer.pods);
  }
  Positions picked;
  if (peer.namespaces->requirements.empty()) {
    select_in(0, static_cast<std::uint32_t>(pods_.size()), peer.pods, picked);
    return picked;
  }
  const auto select_run = [&](std::uint32_t number) {
    const Run& run = runs_[number];
    if (matches(*peer.namespaces, *run.labels)) {
      select_in(run.begin, run.end, peer.pods, picked);
    }
  };
  const auto run_count = static_cast<std::uint32_t>(runs_.size());
  if (const auto narrowed = run_labels_.narrow(0, run_count, *peer.namespaces)) {
    std::for_each(narrowed->owners.begin(), narrowed->owners.end(), select_run);
  } else {
    for (std::uint32_t number = 0; number < run_count; ++number) {
      select_run(number);
    }
  }
  return picked;
}

/// Appends to `picked`.
void PodIndex::select_in(std::uint32_t begin,
                         std::uint32_t end,
                         const Selector& selector,
                         Positions& picked) const {
  if (selector.requirements.empty()) {
    picked.resize(picked.size() + (end - begin));
    std::iota(picked.end() - (end - begin), picked.end(), begin);
    return;
  }
  const auto pick = [&](std::uint32_t position) {
    if (matches(selector, pods_[position]->labels)) {
      picked.push_back(position);
    }
  };
  if (end - begin > kScanMax) {
    if (const auto narrowed = pod_labels_.narrow(begin, end, selector)) {
      if (narrowed->exact) {
        picked.insert(picked.end(), narrowed->owners.begin(), narrowed->owners.end());
      } else {
        std::for_each(narrowed->owners.begin(), narrowed->owners.end(), pick);
      }
      return;
    }
  }
  for (std::uint32_t position = begin; position < end; ++position) {
    pick(position);
  }
}

}  // namespace portcullis::policy
