// SPDX-License-Identifier: MIT
// Drives a fuzz target where libFuzzer is not linked: every seed file as it is, then so many
// random mutations of the seeds. A bounded run for the ordinary tests; prints its random seed.
//
//   TARGET RUNS PATH...      PATH: a seed file, or a folder of them.
//   FUZZ_SEED=N              repeats a run.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count);

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<Bytes> read_all(int count, char** paths) {
  std::vector<std::filesystem::path> files;
  for (int i = 0; i < count; ++i) {
    if (!std::filesystem::is_directory(paths[i])) {
      files.emplace_back(paths[i]);
      continue;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(paths[i])) {
      if (entry.is_regular_file()) {
        files.push_back(entry.path());
      }
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<Bytes> seeds;
  for (const auto& file : files) {
    seeds.push_back(read(file));
  }
  return seeds;
}

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }

  /// One to eight random edits, pieces of `other` among them.
  void edit(Bytes& bytes, const Bytes& other) {
    for (std::size_t left = below(8) + 1; left > 0; --left) {
      const std::size_t at = below(bytes.size());
      const std::size_t length = std::min(below(16) + 1, bytes.size() - at);
      switch (below(6)) {
        case 0:
          flip(bytes, at);
          break;
        case 1:
          bytes.erase(offset(bytes, at), offset(bytes, at + length));
          break;
        case 2:
          bytes.insert(offset(bytes, at), below(16) + 1, static_cast<std::uint8_t>(random_()));
          break;
        case 3:
          splice(bytes, at, other);
          break;
        case 4:
          bytes.resize(at);
          break;
        default:
          set_extreme(bytes, at);
      }
    }
  }

 private:
  static Bytes::iterator offset(Bytes& bytes, std::size_t at) {
    return bytes.begin() + static_cast<std::ptrdiff_t>(at);
  }

  void flip(Bytes& bytes, std::size_t at) {
    if (!bytes.empty()) {
      bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ (1U << below(8)));
    }
  }

  void set_extreme(Bytes& bytes, std::size_t at) {
    constexpr std::uint8_t kExtremes[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    if (!bytes.empty()) {
      bytes[at] = kExtremes[below(std::size(kExtremes))];
    }
  }

  void splice(Bytes& bytes, std::size_t at, const Bytes& other) {
    const std::size_t from = below(other.size());
    const std::size_t length = std::min(below(64), other.size() - from);
    const auto first = other.begin() + static_cast<std::ptrdiff_t>(from);
    const Bytes piece(first, first + static_cast<std::ptrdiff_t>(length));
    bytes.insert(offset(bytes, at), piece.begin(), piece.end());
  }

  std::mt19937_64 random_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: " << argv[0] << " RUNS PATH...\n";
    return 2;
  }
  const auto runs = std::strtoull(argv[1], nullptr, 10);
  const std::vector<Bytes> seeds = read_all(argc - 2, argv + 2);
  const char* given = std::getenv("FUZZ_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "FUZZ_SEED=" << seed << ", " << seeds.size() << " seeds, " << runs << " mutations"
            << std::endl;
  if (seeds.empty()) {
    return 2;
  }
  for (const Bytes& bytes : seeds) {
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  Mutator mutator(seed);
  for (std::uint64_t i = 0; i < runs; ++i) {
    Bytes bytes = seeds[mutator.below(seeds.size())];
    mutator.edit(bytes, seeds[mutator.below(seeds.size())]);
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  return 0;
}
