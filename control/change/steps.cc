// SPDX-License-Identifier: MIT
#include "control/change/steps.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "control/client/manifests.h"
#include "control/params.h"

namespace portcullis::control {
namespace {

using nlohmann::json;
using policy::Verb;

Result<policy::Step> read_step(json& body) {
  if (!body.is_object() || !body.contains("do") || !body["do"].is_string()) {
    return fail("is no object with a string \"do\"");
  }
  const std::string text = body["do"].get<std::string>();
  const auto words = policy::parse_step(text);
  if (!words) {
    return fail(fmt::format(
        "do: \"{}\" is none of pod.add, pod.set, pod.remove, policy.add, policy.set, policy.remove",
        text));
  }
  policy::Step step{.kind = words->first, .verb = words->second};
  const char* const member = step.verb == Verb::remove ? "names" : "manifests";
  if (!body.contains(member) || body.size() != 2) {
    return fail(fmt::format("{} has \"{}\" beside \"do\", and nothing else", text, member));
  }
  json& list = body[member];
  if (step.verb != Verb::remove) {
    PORTCULLIS_TRY(step.manifests, read_manifests(list));
    return step;
  }
  const auto is_name = [](const json& name) {
    return name.is_string() && is_printable(name.get_ref<const std::string&>());
  };
  if (!list.is_array() || list.empty() || !std::all_of(list.begin(), list.end(), is_name)) {
    return fail("names is no list of one \"namespace/name\" or more");
  }
  for (json& name : list) {
    step.names.push_back(std::move(name.get_ref<std::string&>()));
  }
  return step;
}

}  // namespace

Result<std::vector<policy::Manifest>> read_manifests(json& list) {
  if (!list.is_array() || list.empty()) {
    return fail("manifests is not a list of at least one {name, text}");
  }
  std::vector<policy::Manifest> manifests;
  for (json& one : list) {
    if (!one.is_object() || !one.contains("name") || !one["name"].is_string() ||
        !one.contains("text") || !one["text"].is_string()) {
      return fail(
          fmt::format("manifests[{}] is not {{name: string, text: string}}", manifests.size()));
    }
    if (!is_printable(one["name"].get_ref<std::string&>())) {
      return fail(fmt::format("manifests[{}].name has control characters", manifests.size()));
    }
    manifests.push_back({.name = std::move(one["name"].get_ref<std::string&>()),
                         .text = std::move(one["text"].get_ref<std::string&>())});
  }
  return manifests;
}

json steps_json(std::span<const policy::Step> steps) {
  json list = json::array();
  for (const policy::Step& step : steps) {
    json body = {{"do", policy::to_string(step.kind, step.verb)}};
    if (step.verb == Verb::remove) {
      body["names"] = step.names;
    } else {
      body["manifests"] = manifests_json(step.manifests);
    }
    list.push_back(std::move(body));
  }
  return list;
}

Result<std::vector<policy::Step>> read_steps(json& list) {
  if (!list.is_array() || list.empty()) {
    return fail("steps is no list of one step or more");
  }
  std::vector<policy::Step> steps;
  for (json& body : list) {
    auto step = read_step(body);
    if (!step) {
      return fail(fmt::format("steps[{}] {}", steps.size(), step.error().message));
    }
    steps.push_back(*std::move(step));
  }
  return steps;
}

}  // namespace portcullis::control
