// What the fuzzers say when a property does not hold: the property in words, the two sides so that they can
// be read, and the end of the process, which libFuzzer takes as a finding.
#pragma once

#include "base/text.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace alcove::fuzz {

inline constexpr std::size_t kShown = 2'000;  // bytes of a side

inline void show(std::string_view side) {
  std::fprintf(stderr, "  | %s\n", printable(side, kShown).c_str());
}

// `sides` are texts; they are looked at only if the property does not hold.
template <class... Sides>
void require(bool holds, std::string_view property, const Sides&... sides) {
  if (holds) return;
  std::fprintf(stderr, "\nNOT TRUE: %.*s\n", static_cast<int>(property.size()), property.data());
  (show(sides), ...);
  std::abort();
}

}  // namespace alcove::fuzz
