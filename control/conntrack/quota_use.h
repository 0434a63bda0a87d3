// SPDX-License-Identifier: MIT
// What `conntrack.stats` tells of namespaces with a quota: how much of it they use, and how many
// flows were refused for it. docs/protocol.md lists the fields.
// Thread: any.
#pragma once

#include <span>

#include <nlohmann/json.hpp>

#include "control/quota/namespace_quotas.h"
#include "dataplane/flows/record.h"

namespace portcullis::control {

/// Adds `namespaces` and `namespaces_total` to a result. `quotas` may be null: there are none.
/// REQUIRES: the namespaces in the answers have their numbers from `quotas`.
void add_quota_use(std::span<const dataplane::FlowAnswer> answers,
                   const NamespaceQuotas* quotas,
                   nlohmann::json& result);

}  // namespace portcullis::control
