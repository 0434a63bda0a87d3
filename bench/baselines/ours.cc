// SPDX-License-Identifier: MIT
#include "bench/baselines/ours.h"

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "bench/baselines/expand.h"
#include "bench/measure.h"
#include "classifier/compile.h"
#include "classifier/lookup.h"
#include "classifier/reference.h"

namespace portcullis::bench {
namespace {

using namespace classifier;

constexpr std::uint32_t answer_of(bool allowed) {
  return allowed ? kAnswerAllow : kAnswerDeny;
}

/// Answer: Permit or Verdict.
template <typename Answer>
class Ours : public Contestant {
 public:
  Ours(const Table& table, Isa isa) : table_(table), isa_(isa) {}

  [[nodiscard]] Facts facts() const override {
    return {.bytes = table_.sizes().total, .identities = table_.sizes().classes};
  }
  void load(std::span<const Key4> keys) override { keys_ = keys; }
  void classify(std::size_t first, std::size_t count) override {
    if (current_isa() != isa_) {
      static_cast<void>(force_isa(isa_));
    }
    const auto keys = keys_.subspan(first, count);
    if constexpr (std::is_same_v<Answer, Permit>) {
      permit(table_, keys, std::span(answers_).first(count));
    } else {
      lookup(table_, keys, std::span(answers_).first(count));
    }
  }
  [[nodiscard]] std::uint32_t answer(std::size_t i) const override {
    return answer_of(answers_[i].allowed());
  }

 private:
  const Table& table_;
  Isa isa_;
  std::span<const Key4> keys_;
  std::array<Answer, kKeysPerCall> answers_{};
};

/// One slow question at a time; calls are short.
template <typename Ask>
class OneByOne : public Contestant {
 public:
  OneByOne(std::size_t rules, Ask ask) : rules_(rules), ask_(std::move(ask)) {}

  [[nodiscard]] Facts facts() const override { return {.rules = rules_}; }
  void load(std::span<const Key4> keys) override { keys_ = keys; }
  void classify(std::size_t first, std::size_t count) override {
    for (std::size_t i = 0; i < count; ++i) {
      answers_[i] = ask_(keys_[first + i]);
    }
  }
  [[nodiscard]] std::uint32_t answer(std::size_t i) const override { return answers_[i]; }
  [[nodiscard]] std::size_t keys_per_call() const override { return kKeysPerShortCall; }

 private:
  static constexpr std::size_t kKeysPerShortCall = 4;

  std::size_t rules_;
  Ask ask_;
  std::span<const Key4> keys_;
  std::array<std::uint32_t, kKeysPerCall> answers_{};
};

/// Static rules alone, under the best kernel here. Answers are numbers of rules, from 1.
class OursFilter : public Contestant {
 public:
  explicit OursFilter(std::unique_ptr<const Table> table) : table_(std::move(table)) {}

  [[nodiscard]] Facts facts() const override { return {.bytes = table_->sizes().total}; }
  void load(std::span<const Key4> keys) override { keys_ = keys; }
  void classify(std::size_t first, std::size_t count) override {
    lookup(*table_, keys_.subspan(first, count), std::span(verdicts_).first(count));
  }
  [[nodiscard]] std::uint32_t answer(std::size_t i) const override {
    const Decision decision = verdicts_[i].ingress;
    return decision.allowed() ? static_cast<std::uint32_t>(rule_index(decision.rule()) + 1) : 0;
  }

 private:
  std::unique_ptr<const Table> table_;
  std::span<const Key4> keys_;
  std::array<Verdict, kKeysPerCall> verdicts_{};
};

template <typename Ask>
std::unique_ptr<Contestant> one_by_one(std::size_t rules, Ask ask) {
  return std::make_unique<OneByOne<Ask>>(rules, std::move(ask));
}

Flow flow_of(const Key4& key) {
  return {.src = IpAddress::from_v4(key.src),
          .dst = IpAddress::from_v4(key.dst),
          .protocol = key.protocol,
          .src_port = key.src_port,
          .dst_port = key.dst_port};
}

}  // namespace

Entry make_permit(const Table& table, Isa isa) {
  return {.name = fmt::format("permit {}", to_string(isa)),
          .contestant = std::make_unique<Ours<Permit>>(table, isa)};
}

Entry make_lookup(const Table& table, Isa isa) {
  return {.name = fmt::format("lookup {}", to_string(isa)),
          .contestant = std::make_unique<Ours<Verdict>>(table, isa)};
}

Entry make_reference(const RuleSet& rules, EndpointIndex node) {
  const Stopwatch watch;
  const auto reference = std::make_shared<const Reference>(rules);
  const auto judged = [reference, &rules, node](const IpAddress& address) {
    const EndpointIndex owner = reference->endpoint_of(address);
    return node == kNoEndpoint || (owner != kNoEndpoint && rules.endpoints[owner].node == node);
  };
  const auto ask = [reference, judged](const Key4& key) {
    const Flow flow = flow_of(key);
    const Verdict verdict = reference->lookup(flow);
    return answer_of((verdict.egress.allowed() || !judged(flow.src)) &&
                     (verdict.ingress.allowed() || !judged(flow.dst)));
  };
  const double build_ms = watch.milliseconds();
  auto contestant = one_by_one(rules.rules.size(), ask);
  return {.name = "reference", .contestant = std::move(contestant), .build_ms = build_ms};
}

Entry make_linear(const RuleLists& lists) {
  const auto ask = [&lists](const Key4& key) {
    std::array<const ListedRule*, 2> best{};
    for (const ListedRule& rule : lists.rules) {
      const ListedRule*& found = best[rule.list];
      if ((found == nullptr || found->priority < rule.priority) && holds(rule.rule, key)) {
        found = &rule;
      }
    }
    std::uint32_t all = ~0U;
    for (std::size_t list = 0; list < lists.lists; ++list) {
      all &= best[list] == nullptr ? lists.unmatched : best[list]->answer;
    }
    return all;
  };
  return {.name = "linear", .contestant = one_by_one(lists.rules.size(), ask)};
}

Result<Entry> make_ours(const FilterSet& filters) {
  RuleSet rules;
  for (const FilterRule& filter : filters) {
    StaticRule rule{.src = filter.src,
                    .dst = filter.dst,
                    .src_ports = {filter.src_port_first, filter.src_port_last},
                    .dst_ports = {filter.dst_port_first, filter.dst_port_last},
                    .action = Action::allow};
    if (filter.protocol_mask != 0) {
      rule.protocol = filter.protocol;
    }
    rules.static_rules.push_back(rule);
  }
  // What no filter holds is denied here and now: there are no policies that it could be left to.
  rules.static_rules.push_back({.action = Action::deny});
  const Stopwatch watch;
  PORTCULLIS_TRY(auto table, compile(rules));
  const double build_ms = watch.milliseconds();
  return Entry{.name = fmt::format("portcullis {}", to_string(current_isa())),
               .contestant = std::make_unique<OursFilter>(std::move(table)),
               .build_ms = build_ms};
}

}  // namespace portcullis::bench
