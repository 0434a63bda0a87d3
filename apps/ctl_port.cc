// SPDX-License-Identifier: MIT
// The verb port: ports of pods that come and go while the daemon runs.
#include <memory>
#include <string>

#include "apps/ctl.h"
#include "control/ask.h"

namespace portcullis::apps {
namespace {

struct PortOptions {
  DaemonOptions daemon;
  control::PortWords words;
};

constexpr const char* kAddExamples =
    R"(In mode node only. The port is in force when the verb returns: packets from and to the pod
are judged by the policies that run, and no packet of other ports was lost. The daemon forgets it at
its end: whoever adds a port adds it again after a restart.
Drivers: net_af_packet, net_af_xdp, net_memif, net_tap, net_vhost, net_virtio_user; each device
needs a name of its own, the part ahead of the comma.
Exit codes: 0 added, 2 trouble.

Examples:
  portcullis port add web-7 --vdev "net_af_packet7,iface=veth7" --address 10.244.1.9
  portcullis port add db-0 --vdev "net_tap8,iface=tap8" --address 10.244.1.10 --address fd00::a)";

constexpr const char* kRemoveExamples =
    R"(Packets to the pod's addresses are dropped as NO_ROUTE from now on; after a minute the
addresses are as unknown as any other, and may be another node's. Its flows stay until they time
out: end them with `portcullis conntrack flush --address ADDRESS` where another pod may get the
address.
A port of the configuration may be removed, too; it comes back at a restart.
Exit codes: 0 removed, 2 trouble.

Examples:
  portcullis port remove web-7)";

void add_add(CLI::App& port, int& exit_code) {
  auto options = std::make_shared<PortOptions>();
  CLI::App* verb = port.add_subcommand("add", "Let a pod's port in");
  verb->add_option("name", options->words.name, "Yours: 1 to 32 letters, digits, '-', '_', '.'")
      ->required()
      ->type_name("NAME");
  verb->add_option("--vdev", options->words.vdev, "A DPDK virtual device with its arguments")
      ->required()
      ->type_name("DEVICE");
  verb->add_option("--address", options->words.addresses, "Of the pod; once for each")
      ->required()
      ->allow_extra_args(false)
      ->type_name("ADDRESS");
  verb->add_option("--mtu", options->words.mtu, "The largest IP packet sent on it; else 1500")
      ->check(CLI::Range(1280, 9600))
      ->type_name("BYTES");
  add_daemon_options(*verb, options->daemon);
  verb->footer(kAddExamples);
  verb->callback([options, &exit_code] {
    exit_code = tell(control::ask_port_add(target_of(options->daemon), options->words));
  });
}

void add_remove(CLI::App& port, int& exit_code) {
  auto options = std::make_shared<PortOptions>();
  CLI::App* verb = port.add_subcommand("remove", "Take a pod's port out");
  verb->add_option("name", options->words.name, "As it was added")->required()->type_name("NAME");
  add_daemon_options(*verb, options->daemon);
  verb->footer(kRemoveExamples);
  verb->callback([options, &exit_code] {
    exit_code = tell(control::ask_port_remove(target_of(options->daemon), options->words.name));
  });
}

void add_list(CLI::App& port, int& exit_code) {
  auto options = std::make_shared<DaemonOptions>();
  CLI::App* verb = port.add_subcommand("list", "Print the ports that there are now");
  add_daemon_options(*verb, *options);
  verb->callback(
      [options, &exit_code] { exit_code = tell(control::ask_port_list(target_of(*options))); });
}

}  // namespace

void add_port_verb(CLI::App& program, int& exit_code) {
  CLI::App* verb =
      program.add_subcommand("port", "Ports of pods that come and go: add, remove, list");
  verb->require_subcommand(1);
  add_add(*verb, exit_code);
  add_remove(*verb, exit_code);
  add_list(*verb, exit_code);
}

}  // namespace portcullis::apps
