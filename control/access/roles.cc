// SPDX-License-Identifier: MIT
#include "control/access/roles.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <grp.h>
#include <unistd.h>

#include <fmt/format.h>

#include "control/params.h"

namespace portcullis::control {
namespace {

struct Need {
  std::string_view method;
  Role role = Role::none;
  bool audited = false;
};

constexpr std::array kNeeds{
    Need{.method = "status", .role = Role::observe},
    Need{.method = "history", .role = Role::observe},
    Need{.method = "show", .role = Role::observe},
    Need{.method = "diff", .role = Role::observe},
    Need{.method = "explain", .role = Role::observe},
    Need{.method = "conntrack.list", .role = Role::observe},
    Need{.method = "conntrack.top", .role = Role::observe},
    Need{.method = "conntrack.stats", .role = Role::observe},
    Need{.method = "plan", .role = Role::operate},
    Need{.method = "confirm", .role = Role::operate, .audited = true},
    Need{.method = "rollback", .role = Role::operate, .audited = true},
    Need{.method = "conntrack.flush", .role = Role::operate, .audited = true},
    Need{.method = "port.add", .role = Role::operate, .audited = true},
    Need{.method = "port.remove", .role = Role::operate, .audited = true},
    Need{.method = "commit", .role = Role::administer, .audited = true},
    Need{.method = "edit", .role = Role::administer, .audited = true},
};

const Need* need_of(std::string_view method) {
  const auto* const found = std::ranges::find(kNeeds, method, &Need::method);
  return found == kNeeds.end() ? nullptr : found;
}

/// Room for the entry of one group with all of its members.
constexpr std::size_t kGroupBytes = std::size_t{1} << 20U;

std::optional<gid_t> group_of(const std::string& name) {
  gid_t number = 0;
  const char* const end = name.data() + name.size();
  if (const auto [stop, error] = std::from_chars(name.data(), end, number);
      error == std::errc{} && stop == end) {
    return number;
  }
  std::vector<char> room(kGroupBytes);
  group entry{};
  group* found = nullptr;
  const int error = ::getgrnam_r(name.c_str(), &entry, room.data(), room.size(), &found);
  return error == 0 && found != nullptr ? std::optional(entry.gr_gid) : std::nullopt;
}

std::string_view to_string(Role role) {
  switch (role) {
    case Role::none:
      return "none";
    case Role::observe:
      return "observe";
    case Role::operate:
      return "operate";
    case Role::administer:
      return "admin";
  }
  return "";
}

/// What a method asks of its caller. `none`: anyone who is let in, or there is no such method.
Role role_for(std::string_view method) {
  const Need* const need = need_of(method);
  return need == nullptr ? Role::none : need->role;
}

}  // namespace

bool is_audited(std::string_view method) {
  const Need* const need = need_of(method);
  return need != nullptr && need->audited;
}

Result<Roles> Roles::of(const config::Control& options) {
  std::vector<Holder> holders;
  for (const auto& [role, key, names] :
       {std::tuple(Role::observe, "observe_groups", &options.observe_groups),
        std::tuple(Role::operate, "operate_groups", &options.operate_groups),
        std::tuple(Role::administer, "admin_groups", &options.admin_groups)}) {
    for (const std::string& name : *names) {
      const auto group = group_of(name);
      if (!group) {
        return fail(
            fmt::format("control.{}: there is no group '{}'; make it (groupadd), or name "
                        "another one or its number",
                        key,
                        name));
      }
      holders.push_back({.group = *group, .role = role});
    }
  }
  Roles roles;
  if (!holders.empty()) {
    roles.holders_ = std::move(holders);
  }
  return roles;
}

Role Roles::of(const Caller& caller) const {
  if (!holders_ || caller.uid == 0 || caller.uid == ::geteuid()) {
    return Role::administer;
  }
  Role highest = Role::none;
  for (const Holder& holder : *holders_) {
    if (std::ranges::find(caller.groups, holder.group) != caller.groups.end()) {
      highest = std::max(highest, holder.role);
    }
  }
  return highest;
}

tl::expected<void, RpcError> Roles::permit(const Caller& caller, std::string_view method) const {
  const Role needed = role_for(method);
  const Role held = of(caller);
  if (held >= needed) {
    return {};
  }
  return refuse(RpcCode::forbidden,
                fmt::format("{} takes the role {}; {} has {}: be a member of a group in "
                            "control.{}_groups",
                            method,
                            to_string(needed),
                            caller.text(),
                            to_string(held),
                            to_string(needed)),
                {{"needed", to_string(needed)}, {"held", to_string(held)}});
}

}  // namespace portcullis::control
