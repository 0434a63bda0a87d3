// SPDX-License-Identifier: MIT
// Where devices meet their peers, before any driver looks.
#include "dataplane/dpdk/device/peer.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/file.h"
#include "dataplane/dpdk/device/arguments.h"

namespace portcullis::dataplane {
namespace {

/// A file and a socket that nobody listens at any more.
class PeerSocket : public testing::Test {
 protected:
  void SetUp() override {
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    std::ofstream(file_) << "kept";
  }
  void TearDown() override {
    std::filesystem::remove(socket_);
    std::filesystem::remove(file_);
  }
  static std::string refusal(const std::string& vdev) {
    const auto checked = check_socket({.name = "p", .vdev = vdev});
    return checked ? "" : checked.error().message;
  }

  const std::string base_ = "/tmp/portcullis-peer-" + std::to_string(::getpid());
  const std::string socket_ = base_ + ".sock";
  const std::string file_ = base_ + ".file";
  const std::string nothing_ = base_ + ".nothing";
};

TEST_F(PeerSocket, ListensOnlyWhereNothingIs) {
  for (const std::string& vdev :
       {std::string("net_vhost0,iface="),
        std::string("net_memif0,role=server,socket-abstract=no,socket=")}) {
    EXPECT_EQ(refusal(vdev + nothing_), "");
    EXPECT_TRUE(refusal(vdev + file_).starts_with("ports.p: " + file_ + " is there already"));
  }
  EXPECT_NE(refusal("net_vhost0,iface=" + socket_), "");
  // Several memifs of a process listen at one.
  EXPECT_EQ(refusal("net_memif1,role=server,socket-abstract=no,socket=" + socket_), "");
}

TEST_F(PeerSocket, CallsOnlyWhereASocketIs) {
  for (const std::string& vdev : {std::string("net_virtio_user0,path="),
                                  std::string("net_memif0,socket-abstract=no,socket=")}) {
    EXPECT_EQ(refusal(vdev + socket_), "");
    EXPECT_TRUE(refusal(vdev + nothing_).starts_with("ports.p: there is no socket " + nothing_));
    EXPECT_NE(refusal(vdev + file_), "");
  }
  EXPECT_EQ(refusal("net_virtio_user0,path=/dev/null"), "");        // As /dev/vhost-net.
  EXPECT_EQ(refusal("net_vhost0,client=1,iface=" + nothing_), "");  // It calls again.
}

TEST_F(PeerSocket, NamesTheArgumentThatIsMissing) {
  EXPECT_EQ(refusal("net_vhost0"),
            "ports.p: the device says no iface=PATH, where it meets its peer");
  EXPECT_NE(refusal("net_virtio_user0").find("path=PATH"), std::string::npos);
}

TEST_F(PeerSocket, DoesNotWaitForItsPeer) {
  EXPECT_NE(refusal("net_virtio_user0,server=1,path=" + nothing_).find("would stop everything"),
            std::string::npos);
}

TEST_F(PeerSocket, LeavesOtherDevicesAlone) {
  EXPECT_EQ(refusal("net_tap0,iface=x"), "");
  EXPECT_EQ(refusal("net_memif0,role=server"), "");  // Abstract.
  EXPECT_EQ(check_socket({.name = "p", .pci = "0000:3b:00.0"}).has_value(), true);
}

TEST(LastingMac, IsThePortsOwnWhateverTheDevice) {
  const config::Port port{.name = "web-7", .vdev = "net_memif0"};
  const auto mac = lasting_mac(port);
  ASSERT_TRUE(mac.has_value());
  EXPECT_EQ((*mac)[0], 0x02);
  EXPECT_EQ(lasting_mac({.name = "web-7", .vdev = "net_vhost3,iface=/x"}), mac);
  EXPECT_NE(lasting_mac({.name = "web-8", .vdev = "net_memif0"}), mac);
}

TEST(LastingMac, IsNotForDevicesThatHaveOne) {
  EXPECT_FALSE(lasting_mac({.name = "a", .vdev = "net_tap0"}).has_value());
  EXPECT_FALSE(lasting_mac({.name = "a", .vdev = "net_af_xdp0,iface=x"}).has_value());
  EXPECT_FALSE(lasting_mac({.name = "a", .vdev = "net_memif0,mac=02:00:00:00:00:01"}).has_value());
}

TEST(DeviceArgument, IsFoundByItsWholeName) {
  const config::Port port{.vdev = "net_x0,interface=a,iface=b,last="};
  EXPECT_EQ(device_argument(port, "iface"), "b");
  EXPECT_EQ(device_argument(port, "interface"), "a");
  EXPECT_EQ(device_argument(port, "last"), "");
  EXPECT_EQ(device_argument(port, "face"), "");
}

}  // namespace
}  // namespace portcullis::dataplane
