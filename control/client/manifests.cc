// SPDX-License-Identifier: MIT
#include "control/client/manifests.h"

namespace portcullis::control {

nlohmann::json manifests_json(std::span<const policy::Manifest> manifests) {
  nlohmann::json list = nlohmann::json::array();
  for (const policy::Manifest& manifest : manifests) {
    list.push_back({{"name", manifest.name}, {"text", manifest.text}});
  }
  return list;
}

}  // namespace portcullis::control
