// SPDX-License-Identifier: MIT
#include "bench/throughput/cores.h"

#include <vector>

#include <sched.h>

namespace portcullis::bench {

Cores control_and_worker() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<unsigned> cpus;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) {
        cpus.push_back(cpu);
      }
    }
  }
  return cpus.empty() ? Cores{} : Cores{.control = cpus.front(), .worker = cpus.back()};
}

}  // namespace portcullis::bench
