// SPDX-License-Identifier: MIT
#include "observe/explain.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "classifier/lookup.h"

namespace portcullis::observe {

using classifier::Builtin;
using classifier::Decision;
using classifier::Direction;
using classifier::Endpoint;
using classifier::Flow;
using classifier::Rule;
using classifier::Tier;
using policy::RuleOrigin;

namespace {

const char* to_word(Direction direction) {
  return direction == Direction::egress ? "egress" : "ingress";
}

bool is_static(const DirectionExplanation& explanation) {
  return explanation.decider && explanation.decider->is_static;
}

}  // namespace

struct Explainer::Question {
  Direction direction;
  const Flow& flow;
  End subject;
  End peer;
  Decision decision;

  [[nodiscard]] bool is_builtin(Builtin builtin) const {
    return decision.rule() == classifier::rule_id(builtin);
  }
};

Explainer::Explainer(const Enforced& enforced)
    : enforced_(enforced), reference_(enforced.rules), digest_(enforced.table.digest()) {
  PORTCULLIS_CHECK(enforced.endpoints.size() == enforced.rules.endpoints.size());
}

Explanation Explainer::explain(const Flow& flow) const {
  const classifier::Verdict verdict = classifier::lookup(enforced_.table, flow);
  return {flow,
          end_of(flow.src),
          end_of(flow.dst),
          verdict.allowed(),
          explain(Question{
              Direction::egress, flow, end_of(flow.src), end_of(flow.dst), verdict.egress}),
          explain(Question{
              Direction::ingress, flow, end_of(flow.dst), end_of(flow.src), verdict.ingress}),
          digest_};
}

End Explainer::end_of(const IpAddress& address) const {
  const classifier::EndpointIndex index = reference_.endpoint_of(address);
  if (index != classifier::kNoEndpoint) {
    const bool node = enforced_.rules.endpoints[index].kind == Endpoint::Kind::node;
    return {node ? End::Kind::node : End::Kind::pod, enforced_.endpoints[index].text(), address};
  }
  const auto& cidrs = enforced_.rules.pod_cidrs;
  const bool among_pods = std::any_of(
      cidrs.begin(), cidrs.end(), [&](const Prefix& cidr) { return cidr.contains(address); });
  return {among_pods ? End::Kind::unknown_pod : End::Kind::outside, to_string(address), address};
}

DirectionExplanation Explainer::explain(const Question& question) const {
  const Decision decision = question.decision;
  DirectionExplanation out;
  out.direction = question.direction;
  out.subject = question.subject;
  out.allowed = decision.allowed();
  out.rule = decision.rule();
  if (const RuleOrigin* origin = origin_of(enforced_, decision.rule())) {
    out.decider = *origin;
  }
  out.selected_by = isolating(question);
  out.reason = reason_of(question, out);
  out.stages = stages_of(question, out);
  if (!out.allowed && !is_static(out)) {
    out.near_misses =
        find_near_misses(enforced_,
                         reference_,
                         {question.direction, question.flow, question.peer.name, out.selected_by});
  }
  return out;
}

std::vector<RuleOrigin> Explainer::isolating(const Question& question) const {
  std::vector<RuleOrigin> origins;
  for (const Rule& rule : enforced_.rules.rules) {
    const RuleOrigin& origin = enforced_.provenance[rule.provenance];
    if (rule.action != classifier::Action::none && rule.direction == question.direction &&
        rule.tier == Tier::network_policy && origin.rule == RuleOrigin::kIsolation &&
        reference_.holds(enforced_.rules.sets[rule.subjects], question.subject.address)) {
      origins.push_back(origin);
    }
  }
  return origins;
}

std::string Explainer::reason_of(const Question& question,
                                 const DirectionExplanation& so_far) const {
  if (!so_far.decider) {
    return builtin_reason(question);
  }
  const std::string decider = describe(*so_far.decider);
  if (so_far.decider->rule != RuleOrigin::kIsolation || is_static(so_far)) {
    return fmt::format("{} {} it", decider, so_far.allowed ? "allows" : "denies");
  }
  const std::size_t others = so_far.selected_by.size() - 1;
  std::string also;
  if (others == 1) {
    also = " or of the other policy that selects it";
  } else if (others > 1) {
    also = fmt::format(" or of the {} other policies that select it", others);
  }
  return fmt::format("{} isolates {} for {}, and no rule of it{} allows this",
                     decider,
                     question.subject.name,
                     to_word(question.direction),
                     also);
}

std::string Explainer::builtin_reason(const Question& question) const {
  const std::string& subject = question.subject.name;
  const char* word = to_word(question.direction);
  switch (static_cast<Builtin>(question.decision.rule())) {
    case Builtin::no_subject:
      return fmt::format("{} is no pod, so no policy judges this end", subject);
    case Builtin::default_allow:
      return fmt::format(
          "no policy selects {} for {}, and the default mode is kubernetes", subject, word);
    case Builtin::default_deny:
      return fmt::format(
          "no policy selects {} for {}, and the default mode is deny", subject, word);
    case Builtin::self:
      return "a pod always reaches itself";
    case Builtin::own_node:
      return fmt::format("{} is the pod's own node, which policies never cut off",
                         question.peer.name);
    case Builtin::unidentified:
      return fmt::format(
          "{} lies in the pod CIDRs but is no known pod, and the default mode deny "
          "trusts no such address",
          subject);
    case Builtin::transit:
      return "neither end is a pod, and the default mode deny lets nothing pass between such ends";
  }
  return "an unknown built-in rule decided";
}

/// Where in the order of rule.h the decision fell; everything before it did not decide.
std::vector<Stage> Explainer::stages_of(const Question& question,
                                        const DirectionExplanation& so_far) const {
  if (is_static(so_far)) {
    return {{"static rules", so_far.reason, true}};
  }
  if (question.subject.kind != End::Kind::pod) {
    return {{"no pod at this end", so_far.reason, true}};
  }
  struct Step {
    const char* name;
    bool decided;
    std::string otherwise;
  };
  const auto in_tier = [&](Tier tier) {
    return so_far.decider &&
           enforced_.rules.rules[classifier::rule_index(so_far.rule)].tier == tier;
  };
  const bool selected = !so_far.selected_by.empty();
  const std::vector<Step> steps{
      {"to itself", question.is_builtin(Builtin::self), "no"},
      {"Admin tier", in_tier(Tier::admin), "no rule decides"},
      {"own node", question.is_builtin(Builtin::own_node), "no"},
      {"NetworkPolicy tier",
       in_tier(Tier::network_policy),
       selected ? "no rule decides" : "no policy selects the pod"},
      {"Baseline tier", in_tier(Tier::baseline), "no rule decides"},
      {"default",
       question.is_builtin(Builtin::default_allow) || question.is_builtin(Builtin::default_deny),
       ""}};
  std::vector<Stage> stages;
  bool decided = false;
  for (const Step& step : steps) {
    if (decided) {
      stages.push_back({step.name, "not reached", false});
    } else {
      stages.push_back({step.name, step.decided ? so_far.reason : step.otherwise, step.decided});
    }
    decided = decided || step.decided;
  }
  return stages;
}

}  // namespace portcullis::observe
