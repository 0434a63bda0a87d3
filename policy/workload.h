// SPDX-License-Identifier: MIT
// The workload that a pod belongs to, as far as the labels tell it that Kubernetes' controllers put
// on their pods. Thread: pure functions.
//
//   pod-template-hash              Deployment   NAME-HASH-xxxxx
//   controller-revision-hash       StatefulSet  NAME-0, with statefulset.kubernetes.io/pod-name
//                                  DaemonSet    NAME-xxxxx, without it
//   batch.kubernetes.io/job-name   Job          the label's value; before 1.27: job-name
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "policy/model.h"

namespace portcullis::policy {

struct Workload {
  enum class Kind : std::uint8_t { deployment, stateful_set, daemon_set, job, pod };
  Kind kind = Kind::pod;
  std::string name_space;
  std::string name;
};

/// As the API writes it: "Deployment".
std::string_view to_string(Workload::Kind kind);

/// The pod itself where no label, or no label that its name fits, tells more.
Workload workload_of(const Pod& pod);

}  // namespace portcullis::policy
