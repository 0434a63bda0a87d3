// SPDX-License-Identifier: MIT
#include "control/port/ports.h"

#include <fstream>
#include <string>
#include <vector>

#include "control/access/audit.h"
#include "control/access/roles.h"
#include "tests/control/live_commands.h"

namespace portcullis::control {
namespace {

using nlohmann::json;

constexpr uid_t kSomebody = 54'321;
constexpr gid_t kStaff = 70'001;
constexpr gid_t kOncall = 70'002;

/// A node with the pod web and an uplink.
config::Config node() {
  using Role = config::Port::Role;
  config::Config config;
  config.ports = {{.name = "web",
                   .vdev = "net_af_packet0,iface=web",
                   .role = Role::pod,
                   .addresses = {*parse_ip("10.0.0.1")}},
                  {.name = "up",
                   .vdev = "net_af_packet1,iface=up0",
                   .role = Role::uplink,
                   .addresses = {*parse_ip("192.0.2.2")}}};
  config.mode.kind = config::Mode::Kind::node;
  config.mode.gateways = {*parse_ip("192.0.2.1")};
  config.mode.uplink_networks = {*parse_prefix("192.0.2.0/24")};
  return config;
}

json db() {
  return {{"name", "db"},
          {"vdev", "net_af_packet7,iface=veth7"},
          {"addresses", {"10.0.0.2", "fd00::2"}}};
}

class PortVerbs : public LiveCommands {
 protected:
  PortVerbs() {
    config_ = node();
    roles_ = *Roles::of(
        {.observe_groups = {std::to_string(kStaff)}, .operate_groups = {std::to_string(kOncall)}});
    audit_ = *Audit::open(log_path_);
  }
  Answer call_as(gid_t group, const std::string& method, const json& params) {
    server_.run([&] { caller_ = {.uid = kSomebody, .groups = {group}, .pid = 7}; });
    return call(method, params);
  }
  /// `params` with one of them replaced: what the refusal says.
  std::string refusal(json params, const std::string& name, json value) {
    params[name] = std::move(value);
    const Answer answer = call("port.add", params);
    EXPECT_TRUE(publisher_.port_calls.empty()) << params;
    if (answer) {
      return "";
    }
    EXPECT_EQ(answer.error().code, RpcCode::invalid_params) << params;
    return answer.error().message;
  }
  std::vector<json> lines() {
    std::ifstream file(log_path_);
    std::vector<json> found;
    for (std::string line; std::getline(file, line);) {
      found.push_back(json::parse(line));
    }
    return found;
  }

 private:
  ScratchFolder folder_;
  const std::string log_path_ = folder_.file("audit.log");
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(PortVerbs, AddAndRemove) {
  const Answer added = call("port.add", db());
  ASSERT_TRUE(added) << added.error().message;
  EXPECT_EQ((*added)["name"], "db");
  EXPECT_EQ((*added)["mtu"], 1500);
  EXPECT_EQ((*added)["addresses"], json({"10.0.0.2", "fd00::2"}));
  const Answer again = call("port.add", db());
  ASSERT_FALSE(again);
  EXPECT_TRUE(has(again.error().message, "there is a port 'db' already")) << again.error().message;
  ASSERT_TRUE(call("port.remove", {{"name", "db"}}));
  ASSERT_FALSE(call("port.remove", {{"name", "db"}}));
  json narrow = db();
  narrow["mtu"] = 1400;
  ASSERT_TRUE(call("port.add", narrow));
  EXPECT_EQ(
      publisher_.port_calls,
      (std::vector<std::string>{
          "+db net_af_packet7,iface=veth7 1500", "-db", "+db net_af_packet7,iface=veth7 1400"}));
}

TEST_F(PortVerbs, RefuseWhatTheConfigurationWould) {
  const auto refused = [this](const char* name, json value, const char* part) {
    const std::string said = refusal(db(), name, std::move(value));
    EXPECT_TRUE(has(said, part)) << name << ": " << said;
  };
  refused("name", "a b", "a port's name must be 1 to 32 letters");
  refused("name", "web", "there is a port 'web' already");
  refused("name", 7, "name is missing or not a string");
  refused("vdev", "net_af_packet0,iface=x", "device net_af_packet0 already serves port 'web'");
  refused("vdev", "net_pcap7,tx_pcap=/etc/shadow", "its driver must be one of");
  refused("vdev", "net_tap7\n", "control characters");
  refused("vdev", std::string(600, 'n'), "longer than 512");
  refused("addresses", {"10.0.0.2", "10.0.0.1"}, "10.0.0.1 is already an address of port 'web'");
  refused("addresses", {"192.0.2.2"}, "192.0.2.2 is already an address of port 'up'");
  refused("addresses", {"192.0.2.1"}, "is a gateway");
  refused("addresses", {"10.0.0.2/24"}, "addresses: ");
  refused("addresses", json::array(), "not a list of 1 to");
  refused("addresses", {1}, "no text");
  refused("mtu", 1279, "from 1280 to 9600");
  refused("mtu", "1500", "from 1280 to 9600");
  refused("role", "uplink", "there is no parameter");
}

TEST_F(PortVerbs, TellWhatTheDataplaneSays) {
  publisher_.broken = true;
  const Answer refused = call("port.add", db());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, RpcCode::port_refused);
  EXPECT_TRUE(has(refused.error().message, "ports.db: cannot create device"));
  const Answer stays = call("port.remove", {{"name", "web"}});
  ASSERT_FALSE(stays);
  EXPECT_EQ(stays.error().code, RpcCode::port_refused);
  server_.run([&] { publisher_.broken = false; });
  EXPECT_TRUE(call("port.add", db())) << "a failed try has left its name";
  EXPECT_TRUE(call("port.remove", {{"name", "web"}}));
}

TEST_F(PortVerbs, TakeARoleAndAreWrittenDown) {
  const Answer forbidden = call_as(kStaff, "port.add", db());
  ASSERT_FALSE(forbidden);
  EXPECT_EQ(forbidden.error().code, RpcCode::forbidden);
  ASSERT_TRUE(call_as(kOncall, "port.add", db()));
  ASSERT_TRUE(call_as(kOncall, "port.remove", {{"name", "db"}}));
  ASSERT_FALSE(call_as(kOncall, "port.remove", {{"name", std::string(100, 'x')}}));
  const std::vector<json> all = lines();
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[0]["what"], "port.add db");
  EXPECT_EQ(all[0]["result"], "refused");
  EXPECT_EQ(all[1]["what"], "port.add db");
  EXPECT_NE(all[1]["result"], "refused");
  EXPECT_EQ(all[2]["what"], "port.remove db");
  EXPECT_EQ(all[3]["what"], "port.remove " + std::string(32, 'x'));
}

TEST_F(PortVerbs, HaveACommandLine) {
  const PortWords words{
      .name = "db", .vdev = "net_tap7,iface=tap7", .addresses = {"10.0.0.2"}, .mtu = 1400};
  EXPECT_EQ(ask_port_add(target(), words).output, "port db is in force\n");
  const Told again = ask_port_add(target(), words);
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_TRUE(has(again.trouble, "already")) << again.trouble;
  EXPECT_TRUE(has(ask_port_remove(target(), "db").output, "port db is gone"));
  EXPECT_TRUE(has(ask_port_list(target()).output, "inside"));
  EXPECT_EQ(json::parse(ask_port_list(target(true)).output)["ports"][0]["name"], "inside");
  EXPECT_EQ(publisher_.port_calls.front(), "+db net_tap7,iface=tap7 1400");
}

class PortVerbsOnAWire : public PortVerbs {
 protected:
  PortVerbsOnAWire() { config_.mode.kind = config::Mode::Kind::wire; }
};

TEST_F(PortVerbsOnAWire, AreRefused) {
  for (const char* method : {"port.add", "port.remove"}) {
    const Answer refused = call(method, db());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, RpcCode::port_refused);
    EXPECT_TRUE(has(refused.error().message, "in mode node only")) << refused.error().message;
  }
  EXPECT_TRUE(publisher_.port_calls.empty());
}

}  // namespace
}  // namespace portcullis::control
