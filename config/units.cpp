#include "config/units.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>

namespace alcove {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr std::array<Unit, 5> kTimes{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 5> kSizes{
    {{"", 1}, {"B", 1}, {"KiB", 1ULL << 10}, {"MiB", 1ULL << 20}, {"GiB", 1ULL << 30}}};
constexpr std::uint64_t kLongest = 3650ULL * 86'400'000;
constexpr std::uint64_t kLargest = 1ULL << 50;

// A whole number at the front of `text`, taken off it.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

std::string_view take_letters(std::string_view& text) {
  std::size_t n = 0;
  while (n < text.size() && ((text[n] >= 'a' && text[n] <= 'z') || (text[n] >= 'A' && text[n] <= 'Z'))) ++n;
  const std::string_view letters = text.substr(0, n);
  text.remove_prefix(n);
  return letters;
}

// Edits (also two neighbours swapped) between two words. Both are short: keys of the config.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = last[j - 1] + (lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::optional<Millis> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::uint64_t total = 0;
  std::uint64_t smallest = kLongest;  // units go from great to small, each once
  while (!text.empty()) {
    const auto number = take_number(text);
    const std::string_view name = take_letters(text);
    const auto* unit =
        std::find_if(kTimes.begin(), kTimes.end(), [&](const Unit& u) { return u.name == name; });
    if (!number || unit == kTimes.end() || unit->factor >= smallest || *number > kLongest / unit->factor)
      return std::nullopt;
    smallest = unit->factor;
    total += *number * unit->factor;
    if (total > kLongest) return std::nullopt;
  }
  return Millis{static_cast<Millis::rep>(total)};
}

std::string format_duration(Millis duration) {
  if (duration <= Millis{0}) return "0s";
  auto rest = static_cast<std::uint64_t>(duration.count());
  std::string out;
  for (const Unit& unit : kTimes) {
    if (rest >= unit.factor) out += std::to_string(rest / unit.factor) + std::string(unit.name);
    rest %= unit.factor;
  }
  return out;
}

std::string format_rough(Millis duration) {
  if (duration < Millis{1'000}) return duration <= Millis{0} ? "0s" : std::to_string(duration.count()) + "ms";
  auto rest = static_cast<std::uint64_t>(duration.count());
  std::string out;
  for (std::size_t i = 0; i + 1 < kTimes.size(); ++i) {
    const std::uint64_t count = rest / kTimes[i].factor;
    rest %= kTimes[i].factor;
    const bool second = !out.empty();
    if (count > 0) out += std::to_string(count) + std::string(kTimes[i].name);
    if (second) break;
  }
  return out;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const auto number = take_number(text);
  const auto* unit =
      std::find_if(kSizes.begin(), kSizes.end(), [&](const Unit& u) { return u.name == text; });
  if (!number || unit == kSizes.end() || *number > kLargest / unit->factor) return std::nullopt;
  return *number * unit->factor;
}

std::string_view nearest(std::string_view text, const std::vector<std::string>& known) {
  if (text.size() > 64) return {};
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(1, text.size() / 3) + 1;
  for (const std::string& name : known) {
    const std::size_t distance = edit_distance(text, name);
    if (distance >= best_distance) continue;
    best = name;
    best_distance = distance;
  }
  return best;
}

}  // namespace alcove
