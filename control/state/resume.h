// SPDX-License-Identifier: MIT
// What a daemon enforces first: what it enforced last, by its archive, or the configuration's
// manifests.
// Thread: the control thread, ahead of the loop.
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "control/reconcile.h"
#include "control/state/archive.h"

namespace portcullis::control {

/// Compiles the files at `paths`. Every diagnostic goes to the log.
/// Errors: a file cannot be read, or what they say is not enforceable.
Result<Candidate> compile_files(const Reconcile& reconcile, std::span<const std::string> paths);

/// Enforces the newest revision of the archive that was confirmed and whose content is whole; where
/// that is not the newest of all, it becomes a revision of its own, which says why. A new archive,
/// or none (null): the files at `paths`.
/// Errors: as compile_files, the dataplane does not start, the archive has revisions but none that
/// can be used, or the disk does not take a new one.
Result<Applied> enforce_first(Reconcile& reconcile,
                              Archive* archive,
                              std::span<const std::string> paths);

}  // namespace portcullis::control
