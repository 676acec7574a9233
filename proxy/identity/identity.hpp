// Identity: who sends this request? An ordered list of providers is asked; the first that knows wins.
// Step 3 of the way of a request; called by exchange. Thread: one Identity per worker (it caches verified
// cookies). It trusts nothing that the client could have made up: the trusted header counts only from the
// addresses that the config names, a cookie only with our signature and before its end. The cookie has no
// `__Host-` prefix: browsers keep such a cookie only over TLS and never for a parent domain, and the dev
// provider must work on plain http://demo.localhost and can share one sign-in between apps (cookie_domain).
// So an app under the same parent domain could plant another validly signed cookie on its own user's browser;
// the first valid one counts, and real deployments use a provider that is made for them.
#pragma once

#include "config/settings.hpp"
#include "proxy/head.hpp"

#include <boost/asio/ip/address.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace alcove::proxy {

struct Principal {
  std::string user;          // checked: UTF-8, no control characters, at most kMaxUserBytes
  std::string session_name;  // its label
};

class Identity {
 public:
  explicit Identity(SettingsPtr settings);
  ~Identity();

  enum class Verdict : std::uint8_t { known, nobody, refused };
  struct Answer {
    Verdict verdict = Verdict::nobody;
    const Principal* principal = nullptr;  // known; valid until the next call
    std::string why;                       // refused: 400, the name cannot be used (text for people)
  };
  Answer identify(const RequestHead& head, const boost::asio::ip::address& peer);

  // Is there a provider with a sign-in page?
  const DevIdentity* dev() const { return dev_; }
  // Set-Cookie value that signs `user` in (or out, with user empty). `secure`: the client came over TLS.
  std::string make_cookie(std::string_view user, bool secure) const;

  // What proves to a pod of this app who asks (app key identity_jwt); empty if the app has no secret for it.
  // Made once for half of its life, so that the way of a request costs a look-up. Good until the next call.
  std::string_view pod_jwt(const AppSettings& app, std::string_view user, std::string_view session);

  // Never pass these on to a pod: lower-case names of trusted headers; and the cookie's name ("" if none).
  const std::vector<std::string>& private_headers() const { return private_headers_; }
  std::string_view private_cookie() const;

 private:
  struct Cache;
  Answer from_header(const TrustedHeaderIdentity& trusted, const RequestHead& head,
                     const boost::asio::ip::address& peer);
  Answer from_cookie(const RequestHead& head);

  SettingsPtr settings_;
  const DevIdentity* dev_ = nullptr;
  std::string secret_;
  std::vector<std::string> private_headers_;
  std::unique_ptr<Cache> cache_;
};

}  // namespace alcove::proxy
