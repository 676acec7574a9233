#include "proxy/identity/identity.hpp"

#include "base/crypto.hpp"
#include "base/session_key.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "proxy/identity/expiring_cache.hpp"
#include "proxy/identity/signed_cookie.hpp"

#include <nlohmann/json.hpp>

namespace alcove::proxy {
namespace {

// A head can carry hundreds of cookies of our name; each that is tried costs an HMAC.
constexpr int kMaxCookiesTried = 8;

// One for the process, since a cookie that one worker signs is shown to another.
const std::string& process_secret() {
  static const std::string secret = random_bytes(32);
  return secret;
}

std::int64_t now_s() {
  return to_unix_ms(wall_now()) / 1000;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower(c);
  return out;
}

}  // namespace

struct Identity::Cache {
  ExpiringCache<Principal> cookies;
  ExpiringCache<Principal> users;
  ExpiringCache<std::string> jwts;  // by session
};

Identity::Identity(SettingsPtr settings) : settings_(std::move(settings)), cache_(std::make_unique<Cache>()) {
  for (const IdentitySettings& provider : settings_->identity) {
    if (const auto* trusted = std::get_if<TrustedHeaderIdentity>(&provider)) {
      private_headers_.push_back(lower_case(trusted->header));
    } else if (const auto* dev = std::get_if<DevIdentity>(&provider); dev_ == nullptr) {
      dev_ = dev;
      secret_ = dev->secret.empty() ? process_secret() : dev->secret;
    }
  }
}

Identity::~Identity() = default;

Identity::Answer Identity::identify(const RequestHead& head, const boost::asio::ip::address& peer) {
  for (const IdentitySettings& provider : settings_->identity) {
    const auto* trusted = std::get_if<TrustedHeaderIdentity>(&provider);
    Answer answer = trusted != nullptr ? from_header(*trusted, head, peer) : from_cookie(head);
    if (answer.verdict != Verdict::nobody) return answer;
  }
  return {};
}

Identity::Answer Identity::from_header(const TrustedHeaderIdentity& trusted, const RequestHead& head,
                                       const boost::asio::ip::address& peer) {
  const HeadField* found = nullptr;
  for (const HeadField& field : head.fields) {
    if (!iequals(field.name, trusted.header)) continue;
    if (found == nullptr) {
      found = &field;
      continue;
    }
    // Which of two names is meant cannot be known: a front proxy that appends instead of replacing lets the
    // client choose one of them.
    if (!contains(trusted.from, peer)) return {};
    return {Verdict::refused, nullptr, trusted.header + " was sent more than once; it must name one user"};
  }
  if (found == nullptr || found->value.empty() || !contains(trusted.from, peer)) return {};

  if (const Principal* known = cache_->users.find(found->value, 0)) return {Verdict::known, known, {}};
  auto name = session_name(found->value);
  if (!name) return {Verdict::refused, nullptr, trusted.header + ": " + name.error().text};
  Principal principal{std::string(found->value), std::move(*name)};
  return {Verdict::known,
          cache_->users.insert(found->value, std::move(principal), ExpiringCache<Principal>::kNever),
          {}};
}

Identity::Answer Identity::from_cookie(const RequestHead& head) {
  if (dev_ == nullptr) return {};
  const std::int64_t now = now_s();
  int tried = 0;
  for (const HeadField& field : head.fields) {
    if (field.id != http::field::cookie) continue;
    std::string_view rest = field.value;
    std::string_view name;
    std::string_view value;
    while (next_cookie(rest, name, value)) {
      if (name != dev_->cookie) continue;
      if (const Principal* known = cache_->cookies.find(value, now)) return {Verdict::known, known, {}};
      if (++tried > kMaxCookiesTried) return {};
      auto user = verify_cookie(secret_, dev_->cookie, value, now);
      if (!user) continue;
      auto label = session_name(user->user);
      if (!label) return {Verdict::refused, nullptr, "the sign-in cookie: " + label.error().text};
      Principal principal{std::move(user->user), std::move(*label)};
      return {Verdict::known, cache_->cookies.insert(value, std::move(principal), user->expires_s), {}};
    }
  }
  return {};
}

std::string Identity::make_cookie(std::string_view user, bool secure) const {
  if (dev_ == nullptr) return {};
  const std::int64_t ttl_s = std::max<std::int64_t>(1, dev_->ttl.count() / 1000);
  std::string out = dev_->cookie + "=";
  if (!user.empty()) out += sign_cookie(secret_, dev_->cookie, user, now_s() + ttl_s);
  out += "; Path=/; Max-Age=" + std::to_string(user.empty() ? 0 : ttl_s) + "; HttpOnly; SameSite=Lax";
  if (secure) out += "; Secure";
  if (!dev_->cookie_domain.empty()) out += "; Domain=" + dev_->cookie_domain;
  return out;
}

std::string_view Identity::pod_jwt(const AppSettings& app, std::string_view user, std::string_view session) {
  if (app.identity_jwt.secret.empty()) return {};
  const std::int64_t now = now_s();
  if (const std::string* known = cache_->jwts.find(session, now)) return *known;
  const std::int64_t ttl_s = app.identity_jwt.ttl.count() / 1000;
  nlohmann::ordered_json claims;
  claims["iss"] = "alcove";
  claims["sub"] = user;
  claims["aud"] = app.name;
  claims["session"] = session;
  claims["iat"] = now;
  claims["exp"] = now + ttl_s;
  return *cache_->jwts.insert(session, jwt_hs256(app.identity_jwt.secret, claims.dump()), now + ttl_s / 2);
}

std::string_view Identity::private_cookie() const {
  return dev_ == nullptr ? std::string_view{} : dev_->cookie;
}

}  // namespace alcove::proxy
