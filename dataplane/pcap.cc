// SPDX-License-Identifier: MIT
#include "dataplane/pcap.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <pcap/pcap.h>

namespace portcullis::dataplane {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
constexpr int kSnapLength = 262'144;

struct CloseHandle {
  void operator()(pcap_t* handle) const { pcap_close(handle); }
};
using Handle = std::unique_ptr<pcap_t, CloseHandle>;

struct CloseDump {
  void operator()(pcap_dumper_t* dump) const { pcap_dump_close(dump); }
};

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

/// True unless the file is a plain pcap of microseconds. libpcap converts and does not tell.
bool may_have_nanoseconds(const std::string& path) {
  constexpr std::array<unsigned char, 4> kMicroseconds{0xa1, 0xb2, 0xc3, 0xd4};
  if (path == "-") {
    return true;
  }
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
  std::array<unsigned char, 4> magic{};
  if (!file || std::fread(magic.data(), 1, magic.size(), file.get()) != magic.size()) {
    return true;
  }
  return magic != kMicroseconds && !std::equal(magic.rbegin(), magic.rend(), kMicroseconds.begin());
}

const char* name_of(int link_type) {
  const char* name = pcap_datalink_val_to_name(link_type);
  return name != nullptr ? name : "unknown";
}

}  // namespace

struct PcapReader::State {
  std::string path;
  Handle handle;
  bool nanoseconds = false;
  std::uint64_t frames = 0;
};

PcapReader::PcapReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
PcapReader::PcapReader(PcapReader&&) noexcept = default;
PcapReader& PcapReader::operator=(PcapReader&&) noexcept = default;
PcapReader::~PcapReader() = default;

Result<PcapReader> PcapReader::open(const std::string& path) {
  std::array<char, PCAP_ERRBUF_SIZE> why{};
  const bool nanoseconds = may_have_nanoseconds(path);
  Handle handle(pcap_open_offline_with_tstamp_precision(
      path.c_str(), PCAP_TSTAMP_PRECISION_NANO, why.data()));
  if (!handle) {
    return fail(fmt::format("cannot read the capture {}: {}", path, why.data()));
  }
  const int link_type = pcap_datalink(handle.get());
  if (link_type != DLT_EN10MB) {
    return fail(
        fmt::format("{} holds {} ({}) frames, not Ethernet; capture on one Ethernet interface "
                    "(tcpdump -i eth0), not on \"any\" or a tunnel",
                    path,
                    name_of(link_type),
                    link_type));
  }
  return PcapReader(std::make_unique<State>(State{path, std::move(handle), nanoseconds}));
}

Result<bool> PcapReader::next(CapturedFrame& frame) {
  pcap_pkthdr* header = nullptr;
  const unsigned char* bytes = nullptr;
  const int got = pcap_next_ex(state_->handle.get(), &header, &bytes);
  if (got == PCAP_ERROR_BREAK) {
    return false;
  }
  if (got != 1) {
    return fail(fmt::format("the capture {} is damaged after frame {}: {}",
                            state_->path,
                            state_->frames,
                            pcap_geterr(state_->handle.get())));
  }
  ++state_->frames;
  // With nanosecond precision tv_usec holds nanoseconds.
  const auto seconds = static_cast<std::uint64_t>(std::max<long>(header->ts.tv_sec, 0));
  const auto fraction = static_cast<std::uint64_t>(std::max<long>(header->ts.tv_usec, 0));
  frame = {.time_ns = seconds * kNsPerSecond + fraction,
           .wire_length = std::max(header->len, header->caplen),
           .bytes = {bytes, header->caplen}};
  return true;
}

bool PcapReader::has_nanoseconds() const {
  return state_->nanoseconds;
}

struct PcapWriter::State {
  std::string path;
  Handle handle;
  std::unique_ptr<pcap_dumper_t, CloseDump> dump;
  bool nanoseconds = false;
};

PcapWriter::PcapWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
PcapWriter::PcapWriter(PcapWriter&&) noexcept = default;
PcapWriter& PcapWriter::operator=(PcapWriter&&) noexcept = default;
PcapWriter::~PcapWriter() = default;

Result<PcapWriter> PcapWriter::create(const std::string& path, bool nanoseconds) {
  Handle handle(pcap_open_dead_with_tstamp_precision(
      DLT_EN10MB,
      kSnapLength,
      nanoseconds ? PCAP_TSTAMP_PRECISION_NANO : PCAP_TSTAMP_PRECISION_MICRO));
  if (!handle) {
    return fail("cannot write captures: out of memory");
  }
  std::unique_ptr<pcap_dumper_t, CloseDump> dump(pcap_dump_open(handle.get(), path.c_str()));
  if (!dump) {
    return fail(fmt::format("cannot write the capture {}: {}", path, pcap_geterr(handle.get())));
  }
  return PcapWriter(
      std::make_unique<State>(State{path, std::move(handle), std::move(dump), nanoseconds}));
}

void PcapWriter::write(const CapturedFrame& frame) {
  const std::uint64_t unit_ns = state_->nanoseconds ? 1 : 1000;
  pcap_pkthdr header{};
  header.ts.tv_sec = static_cast<time_t>(frame.time_ns / kNsPerSecond);
  header.ts.tv_usec = static_cast<suseconds_t>(frame.time_ns % kNsPerSecond / unit_ns);
  header.caplen = static_cast<bpf_u_int32>(frame.bytes.size());
  header.len = frame.wire_length;
  pcap_dump(reinterpret_cast<unsigned char*>(state_->dump.get()), &header, frame.bytes.data());
}

Result<void> PcapWriter::finish() {
  errno = 0;
  if (pcap_dump_flush(state_->dump.get()) != 0 ||
      std::ferror(pcap_dump_file(state_->dump.get())) != 0) {
    return fail(fmt::format("cannot write the capture {}: {}", state_->path, std::strerror(errno)));
  }
  return {};
}

}  // namespace portcullis::dataplane
