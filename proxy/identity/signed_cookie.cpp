#include "proxy/identity/signed_cookie.hpp"

#include "base/crypto.hpp"
#include "base/text.hpp"

#include <charconv>

namespace alcove::proxy {
namespace {

constexpr std::string_view kVersion = "v1.";

std::string signature(std::string_view secret, std::string_view cookie, std::string_view payload) {
  std::string signed_text = "alcove signed cookie\n";
  signed_text.append(cookie).append(1, '\n').append(payload);
  const Digest digest = hmac_sha256(secret, signed_text);
  return base64url({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

}  // namespace

std::string sign_cookie(std::string_view secret, std::string_view cookie, std::string_view user,
                        std::int64_t expires_s) {
  std::string text(kVersion);
  text += base64url(user) + "." + std::to_string(expires_s);
  return text + "." + signature(secret, cookie, text);
}

std::optional<SignedUser> verify_cookie(std::string_view secret, std::string_view cookie,
                                        std::string_view value, std::int64_t now_s) {
  if (value.size() > kMaxSignedCookieBytes || !value.starts_with(kVersion)) return std::nullopt;
  const auto last = value.rfind('.');
  const std::string_view payload = value.substr(0, last);
  const auto middle = payload.rfind('.');
  if (middle < kVersion.size() || middle == std::string_view::npos) return std::nullopt;
  // Compared as text: the text of a signature is unique, its bytes are not (spare bits of the last
  // character).
  if (!equal_constant_time(signature(secret, cookie, payload), value.substr(last + 1))) return std::nullopt;

  SignedUser out;
  const std::string_view expiry = payload.substr(middle + 1);
  const auto [end, ec] = std::from_chars(expiry.data(), expiry.data() + expiry.size(), out.expires_s);
  if (ec != std::errc{} || end != expiry.data() + expiry.size()) return std::nullopt;
  if (!base64url_decode(payload.substr(kVersion.size(), middle - kVersion.size()), out.user))
    return std::nullopt;
  if (now_s >= out.expires_s) return std::nullopt;
  return out;
}

bool next_cookie(std::string_view& rest, std::string_view& name, std::string_view& value) {
  while (!rest.empty()) {
    const auto end = rest.find(';');
    const std::string_view pair = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    const auto equal = pair.find('=');
    if (equal == std::string_view::npos) continue;
    name = trim(pair.substr(0, equal));
    value = trim(pair.substr(equal + 1));
    return true;
  }
  return false;
}

}  // namespace alcove::proxy
