#include "store/session.hpp"

#include <array>

namespace alcove {
namespace {

constexpr std::array<std::string_view, 7> kStates{"absent",   "pending",  "starting", "ready",
                                                  "draining", "stopping", "failed"};
constexpr std::array<std::string_view, 6> kCauses{"none", "idle", "lifetime", "deleted", "lost", "failed"};

template <class Enum, std::size_t N>
std::optional<Enum> find(const std::array<std::string_view, N>& names, std::string_view name) {
  for (std::size_t i = 0; i < N; ++i)
    if (names[i] == name) return static_cast<Enum>(i);
  return std::nullopt;
}

}  // namespace

std::string_view name_of(State state) {
  return kStates.at(static_cast<std::size_t>(state));
}
std::optional<State> state_from(std::string_view name) {
  return find<State>(kStates, name);
}

std::string_view name_of(EndCause cause) {
  return kCauses.at(static_cast<std::size_t>(cause));
}
std::optional<EndCause> end_cause_from(std::string_view name) {
  return find<EndCause>(kCauses, name);
}

}  // namespace alcove
