// SPDX-License-Identifier: MIT
#include "bench/swap/judge.h"

namespace portcullis::bench {

Judged sum(const Account& account) {
  Judged all;
  for (const Judged& one : account) {
    all.passed += one.passed;
    all.denied += one.denied;
    all.at_swaps += one.at_swaps;
    all.lost += one.lost;
    all.mixed += one.mixed;
  }
  return all;
}

}  // namespace portcullis::bench
