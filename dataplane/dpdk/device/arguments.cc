// SPDX-License-Identifier: MIT
#include "dataplane/dpdk/device/arguments.h"

#include <algorithm>

namespace portcullis::dataplane {

bool is_of_driver(const config::Port& port, std::string_view driver) {
  return port.vdev.starts_with(driver);
}

std::string_view device_argument(const config::Port& port, std::string_view key) {
  std::string_view rest = port.vdev;
  while (!rest.empty()) {
    const std::string_view one = rest.substr(0, rest.find(','));
    if (one.size() > key.size() && one.starts_with(key) && one[key.size()] == '=') {
      return one.substr(key.size() + 1);
    }
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
  }
  return {};
}

}  // namespace portcullis::dataplane
