// SPDX-License-Identifier: MIT
#include <fstream>
#include <iterator>
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
constexpr gid_t kAuthors = 70'003;

config::Control with_roles() {
  return {.observe_groups = {std::to_string(kStaff)},
          .operate_groups = {std::to_string(kOncall)},
          .admin_groups = {std::to_string(kAuthors)}};
}
Caller somebody(std::vector<gid_t> groups) {
  return {.uid = kSomebody, .groups = std::move(groups), .pid = 7};
}

TEST(RolesOfCallers, AreTheHighestOfTheirGroups) {
  const Roles roles = *Roles::of(with_roles());
  EXPECT_EQ(roles.of(somebody({})), Role::none);
  EXPECT_EQ(roles.of(somebody({1, kStaff})), Role::observe);
  EXPECT_EQ(roles.of(somebody({kOncall, kStaff})), Role::operate);
  EXPECT_EQ(roles.of(somebody({kStaff, kAuthors, kOncall})), Role::administer);
  EXPECT_EQ(roles.of({.uid = 0}), Role::administer);
  EXPECT_EQ(roles.of({.uid = ::geteuid()}), Role::administer);
}

TEST(RolesOfCallers, AreAllWhereNoneAreNamed) {
  EXPECT_EQ(Roles::of(config::Control{})->of(somebody({})), Role::administer);
}

TEST(RolesOfCallers, AreFoundByName) {
  EXPECT_TRUE(Roles::of({.admin_groups = {"root"}}));
  const auto unknown = Roles::of({.operate_groups = {"no-such-group"}});
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("control.operate_groups: there is no group"),
            std::string::npos);
}

TEST(RolesOfCallers, DecideAboutEveryMethod) {
  const Roles roles = *Roles::of(with_roles());
  const auto may = [&](gid_t group, std::string_view method) {
    return roles.permit(somebody({group}), method).has_value();
  };
  for (const char* method : {"status", "history", "explain", "conntrack.list", "conntrack.stats"}) {
    EXPECT_FALSE(may(1, method)) << method;
    EXPECT_TRUE(may(kStaff, method)) << method;
    EXPECT_FALSE(is_audited(method)) << method;
  }
  for (const char* method :
       {"plan", "confirm", "rollback", "conntrack.flush", "port.add", "port.remove"}) {
    EXPECT_FALSE(may(kStaff, method)) << method;
    EXPECT_TRUE(may(kOncall, method)) << method;
  }
  EXPECT_FALSE(may(kOncall, "commit"));
  EXPECT_TRUE(may(kAuthors, "commit"));
  EXPECT_TRUE(may(1, "hello"));
}

/// A control plane with roles and an audit log.
class Access : public LiveCommands {
 protected:
  Access() {
    roles_ = *Roles::of(with_roles());
    audit_ = *Audit::open(log_path_);
  }

  Answer call_as(gid_t group, const std::string& method, const json& params = json::object()) {
    server_.run([&] { caller_ = somebody({group}); });
    return call(method, params);
  }
  static json commit_of(int port) {
    json params = {{"comment", "a try"}};
    for (const policy::Manifest& one : shop({port})) {
      params["manifests"].push_back({{"name", one.name}, {"text", one.text}});
    }
    return params;
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

TEST_F(Access, IsRefusedAndWrittenDown) {
  const Answer refused = call_as(kOncall, "commit", commit_of(80));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, RpcCode::forbidden);
  EXPECT_EQ(refused.error().details["needed"], "admin");
  EXPECT_EQ(refused.error().details["held"], "operate");
  EXPECT_NE(refused.error().message.find("control.admin_groups"), std::string::npos);
  EXPECT_EQ(publisher_.published, 0U);
  ASSERT_EQ(lines().size(), 1U);
  const json line = lines()[0];
  EXPECT_EQ(line["what"], "commit");
  EXPECT_EQ(line["result"], "refused");
  EXPECT_EQ(line["error"], refused.error().message);
  EXPECT_EQ(line["comment"], "a try");
  EXPECT_NE(line["who"].get<std::string>().find("uid 54321"), std::string::npos);
}

TEST_F(Access, IsWrittenDownWhereEvenLookingIsRefused) {
  ASSERT_FALSE(call_as(1, "status"));
  ASSERT_FALSE(call_as(kOncall, "commit", {{"comment", std::string(1U << 20U, 'x')}}));
  ASSERT_EQ(lines().size(), 2U);
  EXPECT_EQ(lines()[0]["what"], "status");
  EXPECT_EQ(lines()[0]["result"], "refused");
  EXPECT_FALSE(lines()[1].contains("comment"));  // Nobody fills the disk with words.
}

TEST_F(Access, IsWrittenDownWithTheContentOfBeforeAndAfter) {
  const std::string first = (*call_as(kAuthors, "commit", commit_of(80)))["digest"];
  const std::string second = (*call_as(kAuthors, "commit", commit_of(81)))["digest"];
  ASSERT_TRUE(call_as(kAuthors, "commit", commit_of(81)));
  ASSERT_TRUE(call_as(kOncall, "rollback"));
  ASSERT_FALSE(call_as(kOncall, "confirm"));
  ASSERT_TRUE(call_as(kStaff, "status"));  // Nothing changes by it: no line.
  const std::vector<json> all = lines();
  ASSERT_EQ(all.size(), 5U);
  const auto digests = [&](std::size_t i) {
    return std::pair<std::string, std::string>(all[i]["digest_before"], all[i]["digest_after"]);
  };
  EXPECT_EQ(digests(0).second, first);
  EXPECT_EQ(digests(1), std::pair(first, second));
  EXPECT_EQ(digests(2), std::pair(second, second));
  EXPECT_EQ(all[3]["what"], "rollback");
  EXPECT_EQ(digests(3), std::pair(second, first));
  EXPECT_EQ(all[4]["what"], "confirm");
  EXPECT_EQ(all[4]["result"], "refused");
}

TEST(AuditLog, SaysWhereItCannotBe) {
  const auto none = Audit::open("/nonexistent/audit.log");
  ASSERT_FALSE(none);
  EXPECT_NE(to_string(none.error()).find("/nonexistent/audit.log"), std::string::npos);
}

}  // namespace
}  // namespace portcullis::control
