// SessionKey: "scope/name", e.g. notebook/ada (app/user) or team-red/ada-dev (team/name). Both halves are DNS
// labels (RFC 1123: a-z 0-9 -, at most 63, no "--"), so a key is safe in a hostname, a path, a pod name, a
// Redis key and a log. `session_name` makes the name of a user's session from a string that nobody has
// checked.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace alcove {

using Generation = std::uint64_t;  // grows with each pod of a session; 0: none yet

class SessionKey {
 public:
  SessionKey() = default;
  // Both must be labels as above (asserted in debug builds): use parse() for text from outside.
  SessionKey(std::string_view scope, std::string_view name);

  static Result<SessionKey> parse(std::string_view text);  // "scope/name"; Errc::invalid says what is wrong

  const std::string& text() const { return text_; }
  std::string_view scope() const { return std::string_view(text_).substr(0, slash_); }
  std::string_view name() const { return std::string_view(text_).substr(slash_ + 1); }
  bool empty() const { return text_.empty(); }

  friend bool operator==(const SessionKey& a, const SessionKey& b) { return a.text_ == b.text_; }
  friend auto operator<=>(const SessionKey& a, const SessionKey& b) { return a.text_ <=> b.text_; }

 private:
  std::string text_;
  std::uint32_t slash_ = 0;
};

// a-z 0-9 and single '-' inside, 1 to 63 bytes.
bool is_label(std::string_view text);

inline constexpr std::size_t kMaxUserBytes = 256;

// The label for a user name: the name itself if it is a label of at most 40 bytes, else what is left of it
// after cleaning, with a hash of the whole (80 bits of SHA-256), so that no two users meet. Refused with
// Errc::invalid: empty, longer than kMaxUserBytes, not UTF-8, control characters.
Result<std::string> session_name(std::string_view user);

}  // namespace alcove

template <>
struct std::hash<alcove::SessionKey> {
  std::size_t operator()(const alcove::SessionKey& key) const noexcept {
    return std::hash<std::string>{}(key.text());
  }
};
