// SPDX-License-Identifier: MIT
// A whole control plane on a socket of its own, with its state in a folder, over a real packet
// path: two workers on a wire of memory rings. Traffic may pass while everything else happens.
// Thread: one makes it and asks it; the control thread is its own.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/commands.h"
#include "control/state/archive.h"
#include "dataplane/dpdk/engine.h"
#include "tests/control/live_server.h"
#include "tests/control/soak/in_force.h"
#include "tests/dataplane/ring_port.h"

namespace portcullis::control {

/// The engine as reconcile sees it; the first table starts it. Says when which table is in force.
/// Every flow is judged by it: nobody here asks for flows that go on as they were judged.
class WirePublisher : public Publisher {
 public:
  WirePublisher(const config::Config& config, InForce& in_force)
      : config_(config), in_force_(in_force) {}

  /// `task` is called at the end of each publication, on the control thread.
  void after_each(Task task) { after_each_ = std::move(task); }

  Result<Publication> publish(dataplane::Enforced enforced, dataplane::Kept kept) override;
  Result<std::vector<dataplane::RuleHits>> end_kept() override;
  [[nodiscard]] std::vector<dataplane::RuleHits> rule_hits() const override;
  [[nodiscard]] dataplane::DataplaneStatus status() const override;
  [[nodiscard]] Result<std::vector<dataplane::FlowAnswer>> flows(
      const dataplane::FlowRequest& request) const override;

 private:
  const config::Config& config_;
  InForce& in_force_;
  Task after_each_;
  std::uint64_t epoch_ = 0;
  std::unique_ptr<dataplane::Engine> engine_;
};

class WirePlane {
 public:
  /// Begins with the content of `manifest`. Dies where it cannot.
  WirePlane(ServerOptions options, const std::string& manifest);
  WirePlane(const WirePlane&) = delete;
  WirePlane& operator=(const WirePlane&) = delete;
  ~WirePlane();

  [[nodiscard]] const std::string& socket() const { return server_->socket(); }
  [[nodiscard]] Client connect() const { return server_->connect(); }
  /// What a daemon does each second.
  void tick();
  /// Waits until what was published is named.
  void rest();

  [[nodiscard]] test::RingPort& left() { return left_; }
  [[nodiscard]] test::RingPort& right() { return right_; }
  [[nodiscard]] std::size_t workers() const { return test::test_eal().worker_cpus().size(); }
  [[nodiscard]] InForce& in_force() { return in_force_; }
  [[nodiscard]] const policy::LowerOptions& lowering() const {
    return reconcile_.options().lowering;
  }
  [[nodiscard]] std::string journal() const { return folder_.file("state/journal"); }

  /// What came of the requests so far.
  struct Tally {
    std::map<std::string, std::uint64_t> changes;  // Publications by the comments on them.
    std::uint64_t answered = 0;
    std::uint64_t refused = 0;  // Of these.
    /// Publications whose content is not what the history says, be it of the revision that was gone
    /// back to.
    std::uint64_t misnamed = 0;
  };
  [[nodiscard]] Tally tally();
  [[nodiscard]] dataplane::DataplaneStatus status();
  /// True: what runs is what a restart would begin with, on the disk.
  [[nodiscard]] bool is_kept();

 private:
  void start(ServerOptions options);
  void name_content();
  void count_change();
  bool is_misnamed(const Revision& revision, const policy::Snapshot& snapshot);

  ScratchFolder folder_;
  test::RingPort left_;
  test::RingPort right_;
  config::Config config_;
  InForce in_force_;
  Tally tally_;                                   // Of the control thread.
  std::map<std::uint64_t, std::string> digests_;  // Of the contents of revisions. The lane's.
  bool misnamed_ = false;                         // The last one. The lane's.
  WirePublisher publisher_;
  Reconcile reconcile_;
  Archive archive_;
  std::unique_ptr<Daemon> daemon_;
  std::unique_ptr<Changes> changes_;
  std::unique_ptr<Commands> commands_;
  std::unique_ptr<LiveServer> server_;  // Last: its thread uses the rest.
};

}  // namespace portcullis::control
