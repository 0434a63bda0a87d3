// SPDX-License-Identifier: MIT
// The result of conntrack.top: who has most flows, with the names of pods. docs/protocol.md lists
// the fields.
// Thread: the control thread, but for summed_up().
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "dataplane/flows/record.h"
#include "policy/snapshot.h"

namespace portcullis::control {

/// What a client may say for `by`. Namespaces are put together of sources.
struct TopWord {
  dataplane::GroupedBy by = dataplane::GroupedBy::source;
  bool namespaces = false;
};
/// "source", "destination", "pair", "port" or "namespace"; nothing for any other word.
std::optional<TopWord> top_word(std::string_view text);

/// The answers, but the groups of all are put together in the first one, those with most flows
/// first. Cost: some milliseconds a worker. Thread: any.
std::vector<dataplane::FlowAnswer> summed_up(std::vector<dataplane::FlowAnswer> answers);

/// The groups with most flows, `limit` at most. REQUIRES: the answers are summed up.
nlohmann::json top_json(std::span<const dataplane::FlowAnswer> answers,
                        TopWord word,
                        std::size_t limit,
                        const policy::Snapshot& snapshot);

}  // namespace portcullis::control
