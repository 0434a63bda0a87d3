// SPDX-License-Identifier: MIT
// Batches of edits as a client writes them, for tests.
#pragma once

#include <initializer_list>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace portcullis::control {

inline std::string pod_text(const std::string& name,
                            const std::string& app,
                            const std::string& address) {
  return fmt::format(
      "apiVersion: v1\nkind: Pod\nmetadata: {{name: {}, namespace: shop, labels: {{app: {}, "
      "unique: {}}}}}\nspec: {{nodeName: n1}}\nstatus: {{podIP: {}}}\n",
      name,
      app,
      name,
      address);
}

inline nlohmann::json writing(const char* words, const std::string& text) {
  return {{"do", words}, {"manifests", {{{"name", "edit.yaml"}, {"text", text}}}}};
}

inline nlohmann::json removing(const char* words, const std::string& name) {
  return {{"do", words}, {"names", {name}}};
}

inline nlohmann::json steps(std::initializer_list<nlohmann::json> list) {
  return {{"steps", list}, {"comment", "one of many"}};
}

}  // namespace portcullis::control
