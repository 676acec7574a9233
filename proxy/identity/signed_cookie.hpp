// Signed cookie: `v1.<base64url(user)>.<expiry in Unix seconds>.<base64url(HMAC-SHA-256)>`.
// The signature covers the cookie's name and a domain of its own, so that a secret used elsewhere, or for
// another cookie, signs nothing here. There is exactly one text for each user and expiry: a reader refuses
// every other spelling, which makes the text itself a safe key for a cache. Called by identity. Pure, any
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace alcove::proxy {

inline constexpr std::size_t kMaxSignedCookieBytes = 512;  // the longest that sign_cookie makes has about 420

struct SignedUser {
  std::string user;
  std::int64_t expires_s = 0;  // Unix time; not valid from then on
};

std::string sign_cookie(std::string_view secret, std::string_view cookie, std::string_view user,
                        std::int64_t expires_s);

// Empty: malformed, not signed with this secret for this cookie, or expired at `now_s`.
std::optional<SignedUser> verify_cookie(std::string_view secret, std::string_view cookie,
                                        std::string_view value, std::int64_t now_s);

// Takes the next cookie of a Cookie field's value off `rest`: its name and value without surrounding space,
// quotes kept. False at the end. Source: RFC 6265 5.4, read as browsers write it; pairs without '=' are
// skipped.
bool next_cookie(std::string_view& rest, std::string_view& name, std::string_view& value);

}  // namespace alcove::proxy
