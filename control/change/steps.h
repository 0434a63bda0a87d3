// SPDX-License-Identifier: MIT
// A step of a batch as the control socket and the journal write it, and back.
// Thread: pure functions.
//
//   {"do": "pod.add", "manifests": [{"name": "web.yaml", "text": "..."}]}
//   {"do": "pod.remove", "names": ["shop/web-0"]}
#pragma once

#include <span>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "policy/edit.h"
#include "policy/snapshot.h"

namespace portcullis::control {

/// The list that manifests_json() makes. Takes the texts away. Errors: a list of
/// something else, or a name that no log should show.
Result<std::vector<policy::Manifest>> read_manifests(nlohmann::json& list);

nlohmann::json steps_json(std::span<const policy::Step> steps);
/// Takes the texts away. Errors: no list of steps, or a member that a step does not know.
Result<std::vector<policy::Step>> read_steps(nlohmann::json& list);

}  // namespace portcullis::control
