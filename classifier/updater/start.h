// SPDX-License-Identifier: MIT
// An Updater whose tables have permits of a form that they are too small for: what tests ask for.
#pragma once

#include "classifier/update.h"

namespace portcullis::classifier {

/// Updater::start(), but no form of permits before `narrowest_permits` is used.
Result<Updater> start_updater(RuleSet rules,
                              const CompileOptions& options,
                              PermitForm narrowest_permits);

}  // namespace portcullis::classifier
