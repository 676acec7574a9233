#include "base/session_key.hpp"

#include "base/crypto.hpp"
#include "base/text.hpp"

#include <cassert>

namespace alcove {
namespace {

constexpr std::size_t kMaxPlainName = 40;
constexpr std::size_t kHashChars = 16;  // 80 bits in base32

bool is_label_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// U+0000 to U+001F, U+007F, and U+0080 to U+009F, which are C2 80 to C2 9F in UTF-8: some terminals obey them
// too.
bool has_control(std::string_view utf8) {
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto byte = static_cast<unsigned char>(utf8[i]);
    if (byte < 0x20 || byte == 0x7f) return true;
    if (byte == 0xC2 && static_cast<unsigned char>(utf8[i + 1]) < 0xA0) return true;
  }
  return false;
}

// A plain name that looks like a hashed one is hashed too, so that nobody can choose another user's label.
bool looks_hashed(std::string_view name) {
  return name.size() > kHashChars + 2 && name.substr(name.size() - kHashChars - 2, 2) == "-h";
}

}  // namespace

bool is_label(std::string_view text) {
  if (text.empty() || text.size() > 63 || text.front() == '-' || text.back() == '-') return false;
  char before = 0;
  for (const char c : text) {
    if (!is_label_char(c) && c != '-') return false;
    if (c == '-' && before == '-') return false;
    before = c;
  }
  return true;
}

SessionKey::SessionKey(std::string_view scope, std::string_view name) {
  assert(is_label(scope) && is_label(name));
  text_.reserve(scope.size() + 1 + name.size());
  text_.append(scope).append(1, '/').append(name);
  slash_ = static_cast<std::uint32_t>(scope.size());
}

Result<SessionKey> SessionKey::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos || !is_label(text.substr(0, slash)) ||
      !is_label(text.substr(slash + 1)))
    return Error{Errc::invalid,
                 "\"" + printable(text, 80) +
                     "\" is not a session key: SCOPE/NAME, each of a-z, 0-9 and single '-', at most 63"};
  return SessionKey(text.substr(0, slash), text.substr(slash + 1));
}

Result<std::string> session_name(std::string_view user) {
  if (user.empty()) return Error{Errc::invalid, "the user name is empty"};
  if (user.size() > kMaxUserBytes)
    return Error{Errc::invalid, "the user name has " + std::to_string(user.size()) + " bytes; at most " +
                                    std::to_string(kMaxUserBytes) + " are allowed"};
  if (!is_utf8(user)) return Error{Errc::invalid, "the user name is not valid UTF-8"};
  if (has_control(user)) return Error{Errc::invalid, "the user name contains a control character"};
  if (user.size() <= kMaxPlainName && is_label(user) && !looks_hashed(user)) return std::string(user);

  std::string slug;
  for (const char raw : user) {
    const char c = (raw >= 'A' && raw <= 'Z') ? static_cast<char>(raw - 'A' + 'a') : raw;
    if (is_label_char(c)) {
      slug.push_back(c);
    } else if (!slug.empty() && slug.back() != '-') {
      slug.push_back('-');
    }
    if (slug.size() == kMaxPlainName) break;
  }
  while (!slug.empty() && slug.back() == '-') slug.pop_back();
  if (slug.empty()) slug = "user";
  return slug + "-h" + base32_lower(sha256(user)).substr(0, kHashChars);
}

}  // namespace alcove
