// SPDX-License-Identifier: MIT
// Capture files, read and written offline and one frame at a time; no capture is held in memory.
// Reads pcap and pcapng, of microseconds or nanoseconds; writes pcap. Ethernet only.
// Thread: one at a time per object.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace portcullis::dataplane {

/// A frame of a capture. `bytes` may be the beginning of a longer frame of `wire_length`.
struct CapturedFrame {
  std::uint64_t time_ns = 0;  // Since 1970.
  std::uint32_t wire_length = 0;
  std::span<const std::uint8_t> bytes;
};

class PcapReader {
 public:
  /// Opens a capture; "-" is standard input.
  /// Errors: no such file, no capture, another link type than Ethernet; the message has the path.
  static Result<PcapReader> open(const std::string& path);
  PcapReader(PcapReader&&) noexcept;
  PcapReader& operator=(PcapReader&&) noexcept;
  ~PcapReader();

  /// The next frame into `frame`, whose bytes are valid until the next call; false at the end.
  /// Errors: the file is damaged or cut off here.
  Result<bool> next(CapturedFrame& frame);

  /// True when times may be finer than a microsecond.
  [[nodiscard]] bool has_nanoseconds() const;

 private:
  struct State;
  explicit PcapReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class PcapWriter {
 public:
  /// Creates or overwrites a capture file. `nanoseconds`: finer times, in pcap's other format.
  /// Errors: the file cannot be written.
  static Result<PcapWriter> create(const std::string& path, bool nanoseconds);
  PcapWriter(PcapWriter&&) noexcept;
  PcapWriter& operator=(PcapWriter&&) noexcept;
  /// Closes the file; call finish() first to learn of errors.
  ~PcapWriter();

  void write(const CapturedFrame& frame);
  /// Errors: something could not be written (the disk is full).
  Result<void> finish();

 private:
  struct State;
  explicit PcapWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace portcullis::dataplane
