// Units: durations and sizes as people write them ("30s", "10MiB"), and the names closest to a mistyped one.
// Called by: the loader, the command line (durations in tables). Pure, any thread.
// Fails with: empty optional; the caller knows the key and says what would be right.
#pragma once

#include "base/time.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace alcove {

inline constexpr std::string_view kDurationForm = "a duration, such as 30s, 10m or 12h";
inline constexpr std::string_view kSizeForm = "a size, such as 512, 32KiB, 10MiB or 1GiB";

// 250ms 30s 10m 12h 7d, also put together as in 1h30m. A number alone has no unit and is none. At most ten
// years.
std::optional<Millis> parse_duration(std::string_view text);
// The shortest form that parse_duration reads back: "90s" is 1m30s.
std::string format_duration(Millis duration);
// For tables: at most two units, nothing below a second once there are seconds: "2h5m", "42s", "350ms".
std::string format_rough(Millis duration);

// Bytes: 512 (or 512B), 32KiB, 10MiB, 1GiB.
std::optional<std::uint64_t> parse_size(std::string_view text);

// The one of `known` that `text` was probably meant to be; empty if nothing is near.
std::string_view nearest(std::string_view text, const std::vector<std::string>& known);

}  // namespace alcove
