// SPDX-License-Identifier: MIT
// Why a flow gets its verdict: the running table's decision, traced to tiers, policies and lines.
// Thread: Explainer is immutable; any number of threads may ask it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "classifier/key.h"
#include "classifier/reference.h"
#include "classifier/verdict.h"
#include "observe/enforced.h"
#include "observe/near_miss.h"

namespace portcullis::observe {

/// One end of the flow.
struct End {
  enum class Kind : std::uint8_t { pod, node, unknown_pod, outside };
  Kind kind = Kind::outside;
  std::string name;  // "shop/web", "node/n1", or the address itself.
  IpAddress address;
};

/// What one stage of the decision said. Stages stand in their order.
struct Stage {
  std::string name;     // "NetworkPolicy tier".
  std::string outcome;  // "allowed by ...", "does not decide: ...", "not reached".
  bool decided = false;
};

struct DirectionExplanation {
  classifier::Direction direction = classifier::Direction::egress;
  End subject;
  bool allowed = false;
  classifier::RuleId rule = 0;
  std::string reason;                           // In plain words, one sentence.
  std::optional<policy::RuleOrigin> decider;    // Absent: a built-in reason.
  std::vector<policy::RuleOrigin> selected_by;  // Policies that isolate the subject.
  std::vector<Stage> stages;
  std::vector<NearMiss> near_misses;  // Of a denial; fewest wrong parts first.
};

struct Explanation {
  classifier::Flow flow;
  End src;
  End dst;
  bool allowed = false;
  DirectionExplanation egress;
  DirectionExplanation ingress;
  std::string table;  // The digest of the table that was asked.
};

class Explainer {
 public:
  explicit Explainer(const Enforced& enforced);

  /// REQUIRES: both addresses are of one family.
  [[nodiscard]] Explanation explain(const classifier::Flow& flow) const;

 private:
  struct Question;  // One direction of one flow.

  [[nodiscard]] End end_of(const IpAddress& address) const;
  [[nodiscard]] DirectionExplanation explain(const Question& question) const;
  [[nodiscard]] std::vector<policy::RuleOrigin> isolating(const Question& question) const;
  [[nodiscard]] std::string reason_of(const Question& question,
                                      const DirectionExplanation& so_far) const;
  [[nodiscard]] std::string builtin_reason(const Question& question) const;
  [[nodiscard]] std::vector<Stage> stages_of(const Question& question,
                                             const DirectionExplanation& so_far) const;

  Enforced enforced_;
  classifier::Reference reference_;
  std::string digest_;  // Of the table: hashing it for every flow would cost more than the rest.
};

/// The whole explanation for a person: lines, each ended.
std::string to_text(const Explanation& explanation);
/// The reason and nearest miss of each direction that matters to the verdict, indented by two.
std::string to_brief_text(const Explanation& explanation);
/// One JSON object, without a line end.
std::string to_json(const Explanation& explanation);

}  // namespace portcullis::observe
