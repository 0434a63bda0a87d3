#!/usr/bin/env bash
# Formats every C++ file in place, or those named: scripts/format.sh [FILE...]
set -euo pipefail
if (($# > 0)); then
  exec clang-format-14 -i "$@"
fi
cd "$(dirname "$0")/.."
git ls-files -z --cached --others --exclude-standard '*.cc' '*.h' | xargs -0 clang-format-14 -i
