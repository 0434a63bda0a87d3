// SPDX-License-Identifier: MIT
// What updates of a policy-shaped world take: a pod of known labels, a policy, and the memory of
// what makes them.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"
#include "bench/corpus.h"
#include "bench/report.h"

namespace portcullis::bench {

struct UpdateTimes {
  UpdateMedians medians;
  std::size_t updater_bytes = 0;  // That an Updater holds, the RuleSet and its table included.
  std::string ways;               // How the updates were made.
};

/// Medians from the begin of update() to the end of table(), without publication: the longer of a
/// pod's coming and going, the longest of a policy's coming, change and going.
/// Errors: those of Updater.
Result<UpdateTimes> measure_updates(const Shape& shape, bool quick);

}  // namespace portcullis::bench
