// SPDX-License-Identifier: MIT
#include "policy/workload.h"

#include "policy/selector.h"

namespace portcullis::policy {
namespace {

using Kind = Workload::Kind;

/// What stands ahead of the last dash; empty where there is none, or nothing ahead of it.
std::string_view without_last_part(std::string_view name) {
  const std::size_t dash = name.rfind('-');
  return dash == std::string_view::npos ? std::string_view() : name.substr(0, dash);
}

/// The owner's name, as the pod's own is made of it; empty: it is made in another way.
std::string_view owner_in(std::string_view pod, std::string_view hash) {
  const std::string_view replica_set = without_last_part(pod);
  const std::string_view owner = without_last_part(replica_set);
  const bool fits = !owner.empty() && replica_set.substr(owner.size() + 1) == hash;
  return fits ? owner : std::string_view();
}

Workload named(Kind kind, const Pod& pod, std::string_view name) {
  if (name.empty()) {
    return {.kind = Kind::pod, .name_space = pod.name_space, .name = pod.name};
  }
  return {.kind = kind, .name_space = pod.name_space, .name = std::string(name)};
}

}  // namespace

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::deployment:
      return "Deployment";
    case Kind::stateful_set:
      return "StatefulSet";
    case Kind::daemon_set:
      return "DaemonSet";
    case Kind::job:
      return "Job";
    case Kind::pod:
      return "Pod";
  }
  return "";
}

Workload workload_of(const Pod& pod) {
  for (const std::string_view key : {"batch.kubernetes.io/job-name", "job-name"}) {
    if (const std::string* const job = find_label(pod.labels, key)) {
      return named(Kind::job, pod, *job);
    }
  }
  if (const std::string* const hash = find_label(pod.labels, "pod-template-hash")) {
    return named(Kind::deployment, pod, owner_in(pod.name, *hash));
  }
  if (find_label(pod.labels, "controller-revision-hash") != nullptr) {
    const bool ordinal = find_label(pod.labels, "statefulset.kubernetes.io/pod-name") != nullptr;
    return named(ordinal ? Kind::stateful_set : Kind::daemon_set, pod, without_last_part(pod.name));
  }
  return named(Kind::pod, pod, pod.name);
}

}  // namespace portcullis::policy
