// SPDX-License-Identifier: MIT
#include "policy/lowering/set_words.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <variant>

#include "policy/selector.h"

namespace portcullis::policy {

namespace {

using classifier::Block;
using classifier::PortRange;
using classifier::PortSet;

/// Its length first: no text can be mistaken for the end of another.
void append(std::string& key, std::string_view text) {
  key += std::to_string(text.size());
  key += ':';
  key += text;
}

void append(std::string& key, const Selector& selector) {
  std::vector<std::string> requirements;
  requirements.reserve(selector.requirements.size());
  for (const Requirement& requirement : selector.requirements) {
    std::string text(1, static_cast<char>('0' + static_cast<int>(requirement.op)));
    append(text, requirement.key);
    for (const std::string& value : requirement.values) {
      append(text, value);
    }
    requirements.push_back(std::move(text));
  }
  std::sort(requirements.begin(), requirements.end());
  for (const std::string& requirement : requirements) {
    key += requirement;
    key += ',';
  }
}

/// Pods of one namespace by its name ("="), or of those that a selector picks ("~").
std::string term(const std::string& name_space,
                 const std::optional<Selector>& namespaces,
                 const Selector& pods) {
  std::string key(namespaces ? "~" : "=");
  if (namespaces) {
    append(key, *namespaces);
  } else {
    append(key, name_space);
  }
  key += '/';
  append(key, pods);
  return key;
}

std::string term(const Block& block) {
  std::string key = "#" + to_string(block.cidr);
  for (const Prefix& except : block.except) {
    key += '-' + to_string(except);
  }
  return key;
}

std::string ports_key(const PolicyRule& rule, const PortSet& meaning) {
  std::vector<std::string> names;
  for (const PolicyPort& port : rule.ports) {
    if (!port.name.empty()) {
      names.push_back(std::to_string(port.protocol) + " " + port.name);
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::string key = "@";
  for (const std::string& name : names) {
    append(key, name);
  }
  for (const PortRange& range : meaning.ranges) {
    key += '>' + std::to_string(range.protocol) + ' ' + std::to_string(range.first) + '-' +
           std::to_string(range.last);
  }
  return key;
}

void normalise(PortSet& ports) {
  if (ports.everything) {
    ports.ranges.clear();
    return;
  }
  std::sort(ports.ranges.begin(), ports.ranges.end());
  std::vector<PortRange> merged;
  for (const PortRange& range : ports.ranges) {
    if (!merged.empty() && merged.back().protocol == range.protocol &&
        range.first <= std::uint32_t{merged.back().last} + 1) {
      merged.back().last = std::max(merged.back().last, range.last);
    } else {
      merged.push_back(range);
    }
  }
  ports.ranges = std::move(merged);
}

bool holds(const PodPeer& peer, const std::string& own_namespace, const PodTraits& pod) {
  const bool in_namespace = peer.namespaces ? matches(*peer.namespaces, pod.namespace_labels)
                                            : pod.name_space == own_namespace;
  return in_namespace && matches(peer.pods, pod.labels);
}

}  // namespace

std::string key_of(const SetWords& words) {
  if (is_everything(words)) {
    return "*";
  }
  std::vector<std::string> terms;
  if (words.side == SetWords::Side::subjects) {
    terms.push_back(term(words.policy->name_space, std::nullopt, words.policy->subjects));
  } else {
    for (const Peer& peer : words.rule->peers) {
      if (const auto* const pods = std::get_if<PodPeer>(&peer)) {
        terms.push_back(term(words.policy->name_space, pods->namespaces, pods->pods));
      }
    }
    for (const Block& block : blocks_of(words)) {
      terms.push_back(term(block));
    }
  }
  std::sort(terms.begin(), terms.end());
  terms.erase(std::unique(terms.begin(), terms.end()), terms.end());
  std::string key;
  for (const std::string& one : terms) {
    append(key, one);
  }
  if (words.meaning) {
    key += ports_key(*words.rule, *words.meaning);
  }
  return key;
}

bool is_everything(const SetWords& words) {
  const bool all_peers = words.side == SetWords::Side::peers && words.rule->peers.empty();
  return !words.meaning && (words.side == SetWords::Side::everything || all_peers);
}

bool holds(const SetWords& words, const PodTraits& pod) {
  const auto is_picked = [&] {
    switch (words.side) {
      case SetWords::Side::subjects:
        return pod.name_space == words.policy->name_space &&
               matches(words.policy->subjects, pod.labels);
      case SetWords::Side::peers:
        return words.rule->peers.empty() ||
               std::ranges::any_of(words.rule->peers, [&](const Peer& peer) {
                 const auto* const pods = std::get_if<PodPeer>(&peer);
                 return pods != nullptr && holds(*pods, words.policy->name_space, pod);
               });
      case SetWords::Side::everything:
        break;
    }
    return true;
  };
  return is_picked() && (!words.meaning || meaning_on(*words.rule, pod.ports) == *words.meaning);
}

const std::string* only_namespace(const SetWords& words) {
  const std::string* const own = words.policy != nullptr ? &words.policy->name_space : nullptr;
  if (words.side != SetWords::Side::peers) {
    return words.side == SetWords::Side::subjects ? own : nullptr;
  }
  const auto& peers = words.rule->peers;
  const bool is_wide =
      peers.empty() || std::any_of(peers.begin(), peers.end(), [](const Peer& peer) {
        const auto* const pods = std::get_if<PodPeer>(&peer);
        return pods != nullptr && pods->namespaces.has_value();
      });
  return is_wide ? nullptr : own;
}

std::vector<Block> blocks_of(const SetWords& words) {
  std::vector<Block> blocks;
  if (words.side != SetWords::Side::peers) {
    return blocks;
  }
  for (const Peer& peer : words.rule->peers) {
    if (const auto* const block = std::get_if<Block>(&peer)) {
      Block& added = blocks.emplace_back(*block);
      std::sort(added.except.begin(), added.except.end());
      added.except.erase(std::unique(added.except.begin(), added.except.end()), added.except.end());
    }
  }
  std::sort(blocks.begin(), blocks.end());
  blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
  return blocks;
}

bool names_ports(const PolicyRule& rule) {
  return std::any_of(rule.ports.begin(), rule.ports.end(), [](const PolicyPort& port) {
    return !port.name.empty();
  });
}

PortSet meaning_on(const PolicyRule& rule, const std::vector<ContainerPort>& open_ports) {
  PortSet ports;
  for (const PolicyPort& port : rule.ports) {
    for (const ContainerPort& open : open_ports) {
      if (!port.name.empty() && open.name == port.name && open.protocol == port.protocol) {
        ports.ranges.push_back({open.protocol, open.number, open.number});
      }
    }
  }
  normalise(ports);
  return ports;
}

PortSet numeric_ports(const PolicyRule& rule) {
  PortSet ports;
  ports.everything = rule.ports.empty();
  for (const PolicyPort& port : rule.ports) {
    if (port.name.empty()) {
      const std::uint16_t first = port.first.value_or(0);
      const std::uint16_t whole = port.first ? first : std::uint16_t{0xffff};
      ports.ranges.push_back({port.protocol, first, port.last.value_or(whole)});
    }
  }
  normalise(ports);
  return ports;
}

}  // namespace portcullis::policy
