// The entry of libFuzzer: FLY_FUZZ_TARGET names the target; FLY_FUZZ_SEEDS, a folder, gets its
// seeds and then the process ends.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "tests/fuzz/targets.hpp"

namespace {

const fly::fuzz::target* chosen = nullptr;

} // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const auto* name = std::getenv("FLY_FUZZ_TARGET");
  chosen = fly::fuzz::find(name == nullptr ? "" : name);
  if (chosen == nullptr) {
    for (const auto& each : fly::fuzz::targets())
      std::puts(each.name);
    std::exit(0);
  }
  if (const auto* folder = std::getenv("FLY_FUZZ_SEEDS")) {
    for (std::size_t i = 0; i < chosen->seeds.size(); ++i)
      std::ofstream{std::string{folder} + "/seed" + std::to_string(i)} << chosen->seeds[i];
    std::exit(0);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  chosen->run({reinterpret_cast<const char*>(data), size});
  return 0;
}
