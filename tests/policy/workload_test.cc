// SPDX-License-Identifier: MIT
#include "policy/workload.h"

#include <gtest/gtest.h>

namespace portcullis::policy {
namespace {

std::string owner(const std::string& name, const Labels& labels) {
  const Workload workload = workload_of({.name_space = "shop", .name = name, .labels = labels});
  return std::string(to_string(workload.kind)) + " " + workload.name_space + "/" + workload.name;
}

TEST(Workload, IsTheControllerThatThePodsLabelsTellOf) {
  EXPECT_EQ(owner("web-6bd65c67cf-9hz9g", {{"app", "x"}, {"pod-template-hash", "6bd65c67cf"}}),
            "Deployment shop/web");
  EXPECT_EQ(owner("web-api-6bd65c67cf-9hz9g", {{"pod-template-hash", "6bd65c67cf"}}),
            "Deployment shop/web-api");
  EXPECT_EQ(owner("db-0",
                  {{"controller-revision-hash", "db-59f8b6d8c"},
                   {"statefulset.kubernetes.io/pod-name", "db-0"}}),
            "StatefulSet shop/db");
  EXPECT_EQ(owner("node-agent-x7k2p", {{"controller-revision-hash", "59f8b6d8c"}}),
            "DaemonSet shop/node-agent");
  EXPECT_EQ(owner("backup-28391040-7xkq2", {{"batch.kubernetes.io/job-name", "backup-28391040"}}),
            "Job shop/backup-28391040");
  EXPECT_EQ(owner("backup-7xkq2", {{"job-name", "backup"}}), "Job shop/backup");
}

TEST(Workload, IsThePodItselfWhereNothingTellsMore) {
  EXPECT_EQ(owner("web-0", {}), "Pod shop/web-0");
  EXPECT_EQ(owner("web", {{"pod-template-hash", "6bd65c67cf"}}), "Pod shop/web");
  EXPECT_EQ(owner("web-other-9hz9g", {{"pod-template-hash", "6bd65c67cf"}}),
            "Pod shop/web-other-9hz9g")
      << "a hash that is not in its name";
  EXPECT_EQ(owner("-6bd-x", {{"pod-template-hash", "6bd"}}), "Pod shop/-6bd-x");
  EXPECT_EQ(owner("agent", {{"controller-revision-hash", "1"}}), "Pod shop/agent");
  EXPECT_EQ(owner("backup", {{"job-name", ""}}), "Pod shop/backup");
}

}  // namespace
}  // namespace portcullis::policy
