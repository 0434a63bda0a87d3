// SPDX-License-Identifier: MIT
// The facade of the packet path: start, publish, counters, stop. No DPDK type shows through.
// Thread: one control thread calls everything here; flows() may be called beside it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "classifier/table.h"
#include "config/config.h"
#include "dataplane/drop_reason.h"
#include "dataplane/flows/record.h"

namespace portcullis::dataplane {

class NamespaceMap;

struct PortStatus {
  std::string name;
  std::string device;  // As EAL knows it.
  std::vector<IpAddress> addresses;
  bool link_up = false;
  /// Mode wire: the other port of its pair, where that has no link and this one's is to follow; and
  /// whether it does.
  std::string partner_down;
  bool taken_down = false;
  /// Who divides its packets among the workers that share it.
  enum class Spread : std::uint8_t {
    none,      // It belongs to one worker.
    rss,       // The device, by symmetric hashes.
    software,  // The worker that receives them.
  } spread = Spread::none;
  std::uint64_t rx_packets = 0, rx_bytes = 0, rx_missed = 0;
  std::uint64_t tx_packets = 0, tx_bytes = 0;
};

/// Which flows go on as they were judged when a table is published, whatever it says of them. All
/// others are judged again by their next packets.
enum class Kept : std::uint8_t {
  none,
  same,  // Those that went on so already.
  all,   // All that are known.
};

struct WorkerStatus {
  std::uint32_t cpu = 0;
  std::uint64_t packets = 0, forwarded = 0, dropped = 0;
  std::uint64_t held = 0;           // Fragments that wait for the first of their datagram now.
  std::uint64_t flows = 0;          // Conntrack entries now.
  std::uint64_t flows_created = 0;  // Since start; so are the next two.
  std::uint64_t flows_expired = 0;  // By their timeouts.
  std::uint64_t flows_evicted = 0;  // To make room for others.
  std::uint64_t revalidated = 0;    // Flows judged again after a publication.
  std::uint64_t flows_revoked = 0;  // Of these, those that ended by it.
  std::uint64_t resets = 0;         // Connections that one of their ends reset.
  /// Since start: packets it received and handed to the worker that has their flow, which counts
  /// them; and packets it judged and handed to the worker that has the way out.
  std::uint64_t handed_to_judge = 0, handed_to_send = 0;
  std::uint64_t checksums_finished = 0;  // That a sender had left to its device.
  std::uint64_t super_packets = 0;       // So had it the cutting of these.
  double busy = 0;                       // Share of the last second in which it had packets.
  std::vector<std::uint64_t> drops;      // By DropReason.
};

/// Of one rule id of the running table, since the table was published.
struct RuleHits {
  std::uint32_t rule = 0;
  std::uint64_t packets = 0;  // That it judged.
  std::uint64_t resets = 0;   // Connections that it allowed and one of their ends reset.
};

struct DataplaneStatus {
  std::uint64_t epoch = 0;
  std::uint64_t kept_before = 0;  // Flows of earlier epochs go on as they were judged; 0: none.
  std::vector<PortStatus> ports;
  std::vector<WorkerStatus> workers;
};

/// What is enforced, of which a Generation is made.
struct Enforced {
  std::shared_ptr<const classifier::Table> table;
  std::size_t rule_ids = 0;
  std::shared_ptr<const NamespaceMap> namespaces;  // Null: no namespace has a quota of flows.
};

class Dataplane {
 public:
  /// Starts EAL and the ports, enforces the table from the first packet, launches the workers.
  /// Errors: EAL or a port fails (the message names the port and how to mend it); nothing is left
  /// running then.
  static Result<std::unique_ptr<Dataplane>> start(const config::Config& config, Enforced first);
  Dataplane(const Dataplane&) = delete;
  Dataplane& operator=(const Dataplane&) = delete;
  /// Stops workers, ports and EAL.
  ~Dataplane();

  /// Lets a pod's port in while packets pass, or takes one out; other ports lose no packet by it.
  /// REQUIRES: mode node; options are validated beside those of the other ports.
  /// Errors: nothing has changed; the message says how to mend it.
  Result<void> add_port(const config::Port& options);
  Result<void> remove_port(const std::string& name);

  /// Swaps the table. On return every worker runs it and lets the old one go. Returns the epoch.
  std::uint64_t publish(Enforced next, Kept kept);
  /// The same table, in the same epoch, but no flow goes on any more that it has not judged.
  void end_kept();

  /// Carries the links of a wire's ports over to their partners. To be called some times a second.
  void check_links();

  [[nodiscard]] DataplaneStatus status() const;
  /// Of the running table, summed over workers; rule ids that counted nothing are left out.
  [[nodiscard]] std::vector<RuleHits> rule_hits() const;
  /// What was counted ahead of the last publish() or end_kept(), since the one before it.
  [[nodiscard]] const std::vector<RuleHits>& retired_hits() const;
  /// Asks every worker about its flows and waits, some milliseconds as a rule: an answer a worker.
  /// Errors: a worker has not answered within seconds; a flush may have ended flows all the same.
  /// Thread: one caller at a time, any that nobody waits for.
  [[nodiscard]] Result<std::vector<FlowAnswer>> flows(const FlowRequest& request) const;

 private:
  struct State;
  explicit Dataplane(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace portcullis::dataplane
