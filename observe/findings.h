// SPDX-License-Identifier: MIT
// What validation found, for a person and for a program.
// Thread: pure functions.
#pragma once

#include <string>

#include "policy/snapshot.h"

namespace portcullis::observe {

/// Every diagnostic, one a line, then the summary line.
std::string to_text(const policy::Loaded& loaded);
/// One JSON object: ok, diagnostics, counts of what was read and skipped. Without a line end.
std::string to_json(const policy::Loaded& loaded);

/// "3 policies, 10 pods, 4 namespaces, 2 nodes; skipped 2 objects (v1/Service 2); 0 errors, 1
/// warning".
std::string summary(const policy::Loaded& loaded);

}  // namespace portcullis::observe
