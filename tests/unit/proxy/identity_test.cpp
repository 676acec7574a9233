#include "proxy/identity/identity.hpp"

#include "base/crypto.hpp"
#include "proxy/identity/expiring_cache.hpp"
#include "proxy/identity/signed_cookie.hpp"

#include <gtest/gtest.h>

namespace alcove::proxy {
namespace {

using namespace std::string_literals;
using boost::asio::ip::make_address;
using Verdict = Identity::Verdict;

constexpr std::string_view kSecret = "a secret of 32 bytes, or so it is";
constexpr std::string_view kCookie = "alcove_dev";
const auto kFront = make_address("10.0.0.1");
const auto kStranger = make_address("203.0.113.9");

SettingsPtr with(std::vector<IdentitySettings> identity) {
  auto out = std::make_shared<Settings>();
  out->identity = std::move(identity);
  return out;
}

TrustedHeaderIdentity trusted(std::string header = "X-User-ID") {
  return {std::move(header), {Cidr::parse("10.0.0.0/8").value()}};
}

DevIdentity dev() {
  DevIdentity out;
  out.secret = kSecret;
  return out;
}

RequestHead head(std::vector<std::pair<std::string_view, std::string_view>> fields) {
  RequestHead out;
  for (const auto& [name, value] : fields) out.fields.push_back({http::string_to_field(name), name, value});
  return out;
}

std::int64_t in_an_hour() {
  return to_unix_ms(wall_now()) / 1000 + 3600;
}

std::string cookie_of(std::string_view user, std::int64_t expires_s = in_an_hour()) {
  return std::string(kCookie) + "=" + sign_cookie(kSecret, kCookie, user, expires_s);
}

TEST(signed_cookie, is_valid_until_its_expiry) {
  const std::string value = sign_cookie(kSecret, kCookie, "ada", 1000);
  EXPECT_TRUE(value.starts_with("v1.YWRh.1000."));
  const auto user = verify_cookie(kSecret, kCookie, value, 999);
  ASSERT_TRUE(user);
  EXPECT_EQ(user->user, "ada");
  EXPECT_EQ(user->expires_s, 1000);
  EXPECT_FALSE(verify_cookie(kSecret, kCookie, value, 1000));
  EXPECT_FALSE(verify_cookie(kSecret, kCookie, value, 5000));
}

TEST(signed_cookie, carries_every_user_name) {
  for (const std::string& user : {"a"s, std::string(256, '\xFF'), "a.b.c"s, "a;b=c\r\n"s, "\0"s, "张伟"s}) {
    const std::string value = sign_cookie(kSecret, kCookie, user, 1000);
    EXPECT_LE(value.size(), kMaxSignedCookieBytes);
    EXPECT_EQ(value.find_first_of("; ,\r\n\"\\"), std::string::npos);
    const auto back = verify_cookie(kSecret, kCookie, value, 0);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->user, user);
  }
}

TEST(signed_cookie, any_changed_byte_makes_it_worthless) {
  const std::string value = sign_cookie(kSecret, kCookie, "ada", 1'000'000);
  for (std::size_t i = 0; i < value.size(); ++i) {
    for (const char c : "Aa0_-.v="s) {
      std::string other = value;
      if (other[i] == c) continue;
      other[i] = c;
      EXPECT_FALSE(verify_cookie(kSecret, kCookie, other, 0)) << other;
    }
    EXPECT_FALSE(verify_cookie(kSecret, kCookie, value.substr(0, i), 0));
  }
  EXPECT_FALSE(verify_cookie(kSecret, kCookie, value + "=", 0));
  EXPECT_FALSE(verify_cookie(kSecret, kCookie, value + ".", 0));
  EXPECT_FALSE(verify_cookie(kSecret, kCookie, "\"" + value + "\"", 0));
}

TEST(signed_cookie, refuses_another_secret_and_another_cookies_signature) {
  const std::string value = sign_cookie(kSecret, kCookie, "ada", 1000);
  EXPECT_FALSE(verify_cookie("another secret", kCookie, value, 0));
  EXPECT_FALSE(verify_cookie(kSecret, "another_cookie", value, 0));
  // A bare HMAC with the same secret, as another program might make it.
  const std::string payload = "v1." + base64url("ada") + ".1000";
  const Digest digest = hmac_sha256(kSecret, payload);
  EXPECT_FALSE(verify_cookie(
      kSecret, kCookie,
      payload + "." + base64url({reinterpret_cast<const char*>(digest.data()), digest.size()}), 0));
}

TEST(signed_cookie, refuses_what_has_not_its_form) {
  for (const std::string& text : {""s, "v1"s, "v1."s, "v1.."s, "v1..."s, "v1.YWRh.1000"s, "v2.YWRh.1000.x"s,
                                  "...."s, "v1.YWRh.1000."s, std::string(100'000, '.')})
    EXPECT_FALSE(verify_cookie(kSecret, kCookie, text, 0)) << text.substr(0, 80);
}

TEST(next_cookie, walks_a_field_as_browsers_write_it) {
  std::string_view rest = "a=1; b=2;c = 3 ; junk; =x; d=e=f;";
  std::string_view name;
  std::string_view value;
  std::string seen;
  while (next_cookie(rest, name, value)) seen += std::string(name) + ":" + std::string(value) + "|";
  EXPECT_EQ(seen, "a:1|b:2|c:3|:x|d:e=f|");
}

TEST(expiring_cache, forgets_an_entry_at_its_expiry) {
  ExpiringCache<Principal> cache;
  cache.insert("text", {"ada", "ada"}, 1000);
  ASSERT_NE(cache.find("text", 999), nullptr);
  EXPECT_EQ(cache.find("text", 999)->user, "ada");
  EXPECT_EQ(cache.find("text", 1000), nullptr);
  EXPECT_EQ(cache.size(), 0U);
}

TEST(expiring_cache, is_bounded_and_keeps_what_is_used) {
  ExpiringCache<Principal> cache;
  cache.insert("used", {"used", "used"}, ExpiringCache<Principal>::kNever);
  for (std::size_t i = 0; i < 3 * ExpiringCache<Principal>::kHalf; ++i) {
    cache.insert(std::to_string(i), {"u", "u"}, ExpiringCache<Principal>::kNever);
    ASSERT_LE(cache.size(), 2 * ExpiringCache<Principal>::kHalf);
    if (i % 100 == 0) {
      ASSERT_NE(cache.find("used", 0), nullptr) << i;
    }
  }
  EXPECT_EQ(cache.find("0", 0), nullptr);
  EXPECT_NE(cache.find(std::to_string(3 * ExpiringCache<Principal>::kHalf - 1), 0), nullptr);
}

TEST(identity, believes_a_trusted_header_from_its_addresses) {
  Identity identity(with({trusted()}));
  for (int round = 0; round < 2; ++round) {  // the second is answered from the cache
    const auto answer = identity.identify(head({{"Host", "h"}, {"x-user-id", "Ada@Example.com"}}), kFront);
    ASSERT_EQ(answer.verdict, Verdict::known);
    EXPECT_EQ(answer.principal->user, "Ada@Example.com");
    EXPECT_TRUE(answer.principal->session_name.starts_with("ada-example-com-h"));
  }
  EXPECT_EQ(identity.identify(head({{"X-User-ID", "ada"}}), make_address("::ffff:10.0.0.1")).verdict,
            Verdict::known);
}

TEST(identity, ignores_a_trusted_header_from_elsewhere) {
  Identity identity(with({trusted()}));
  identity.identify(head({{"X-User-ID", "ada"}}), kFront);
  EXPECT_EQ(identity.identify(head({{"X-User-ID", "ada"}}), kStranger).verdict, Verdict::nobody);
  EXPECT_EQ(identity.identify(head({{"X-User-ID", "ada"}, {"X-User-ID", "eve"}}), kStranger).verdict,
            Verdict::nobody);
  EXPECT_EQ(identity.identify(head({{"X-User-ID", "\xFF"}}), kStranger).verdict, Verdict::nobody);
  Identity from_nowhere(with({TrustedHeaderIdentity{}}));
  EXPECT_EQ(from_nowhere.identify(head({{"X-User-ID", "ada"}}), make_address("127.0.0.1")).verdict,
            Verdict::nobody);
}

TEST(identity, refuses_a_trusted_header_that_is_there_twice) {
  Identity identity(with({trusted(), dev()}));
  for (const auto& other : {"eve", "ada", ""}) {
    const auto answer = identity.identify(head({{"X-User-ID", "ada"}, {"X-USER-ID", other}}), kFront);
    EXPECT_EQ(answer.verdict, Verdict::refused);
    EXPECT_NE(answer.why.find("X-User-ID"), std::string::npos);
  }
}

TEST(identity, nobody_is_who_sends_an_empty_header_or_none) {
  Identity identity(with({trusted()}));
  EXPECT_EQ(identity.identify(head({{"X-User-ID", ""}}), kFront).verdict, Verdict::nobody);
  EXPECT_EQ(identity.identify(head({}), kFront).verdict, Verdict::nobody);
  EXPECT_EQ(Identity(with({})).identify(head({{"X-User-ID", "ada"}}), kFront).verdict, Verdict::nobody);
}

TEST(identity, refuses_names_that_cannot_be_used_and_says_why) {
  Identity identity(with({trusted()}));
  const std::string huge(10'240, 'a');
  const std::pair<std::string, std::string> cases[] = {{"\0"s, "control"},
                                                       {"a\0b"s, "control"},
                                                       {"a\x1F", "control"},
                                                       {"\xFF", "UTF-8"},
                                                       {huge, "10240 bytes"}};
  for (const auto& [user, why] : cases) {
    const auto answer = identity.identify(head({{"X-User-ID", user}}), kFront);
    ASSERT_EQ(answer.verdict, Verdict::refused);
    EXPECT_NE(answer.why.find(why), std::string::npos) << answer.why;
    EXPECT_EQ(answer.principal, nullptr);
  }
}

TEST(identity, takes_odd_names_apart) {
  Identity identity(with({trusted()}));
  const auto label = [&](std::string_view user) {
    return identity.identify(head({{"X-User-ID", user}}), kFront).principal->session_name;
  };
  EXPECT_NE(label("a/b"), label("a.b"));
  EXPECT_NE(label(".."), label("../.."));
  EXPECT_NE(label("Ada"), label("ada"));
}

TEST(identity, knows_who_has_a_signed_cookie) {
  Identity identity(with({dev()}));
  const std::string cookie = "theme=dark; " + cookie_of("ada") + "; other=1";
  const Principal* first = identity.identify(head({{"Cookie", cookie}}), kStranger).principal;
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->user, "ada");
  EXPECT_EQ(first->session_name, "ada");
  EXPECT_EQ(identity.identify(head({{"Cookie", cookie}}), kStranger).principal, first);
}

TEST(identity, takes_the_first_valid_of_several_cookies) {
  Identity identity(with({dev()}));
  const std::string bad = std::string(kCookie) + "=v1.junk.1.x; " + std::string(kCookie) + "=; ";
  const std::string both = bad + cookie_of("ada") + "; " + cookie_of("eve");
  EXPECT_EQ(identity.identify(head({{"Cookie", both}}), kStranger).principal->user, "ada");
  const std::string eve = cookie_of("eve");
  const std::string ada = cookie_of("ada");
  EXPECT_EQ(
      identity
          .identify(head({{"Cookie", "x=y"}, {"Cookie", bad}, {"Cookie", eve}, {"Cookie", ada}}), kStranger)
          .principal->user,
      "eve");
}

TEST(identity, does_not_try_cookies_without_end) {
  Identity identity(with({dev()}));
  std::string many;
  for (int i = 0; i < 500; ++i) many += std::string(kCookie) + "=v1.YWRh.9999999999.x; ";
  many += cookie_of("ada");
  EXPECT_EQ(identity.identify(head({{"Cookie", many}}), kStranger).verdict, Verdict::nobody);
}

TEST(identity, forged_expired_and_foreign_cookies_are_nobodys) {
  Identity identity(with({dev()}));
  const std::string expired = cookie_of("ada", in_an_hour() - 7200);
  const std::string foreign = "alcove_dev2=" + sign_cookie(kSecret, kCookie, "ada", in_an_hour());
  const std::string upper = "ALCOVE_DEV=" + sign_cookie(kSecret, kCookie, "ada", in_an_hour());
  const std::string other_key = "alcove_dev=" + sign_cookie("guess", kCookie, "ada", in_an_hour());
  for (const std::string& cookie :
       {expired, foreign, upper, other_key, "alcove_dev=ada"s, "alcove_dev"s, ""s})
    EXPECT_EQ(identity.identify(head({{"Cookie", cookie}}), kStranger).verdict, Verdict::nobody) << cookie;
}

TEST(identity, refuses_a_signed_name_that_cannot_be_used) {
  Identity identity(with({dev()}));
  const auto answer = identity.identify(head({{"Cookie", cookie_of("a\nb")}}), kStranger);
  EXPECT_EQ(answer.verdict, Verdict::refused);
  EXPECT_NE(answer.why.find("control"), std::string::npos);
}

TEST(identity, asks_its_providers_in_order) {
  const std::string ada = cookie_of("ada");
  const RequestHead both = head({{"Cookie", ada}, {"X-User-ID", "grace"}, {"X-Other", "eve"}});
  EXPECT_EQ(Identity(with({trusted(), dev()})).identify(both, kFront).principal->user, "grace");
  EXPECT_EQ(Identity(with({dev(), trusted()})).identify(both, kFront).principal->user, "ada");
  EXPECT_EQ(Identity(with({trusted("X-Other"), trusted()})).identify(both, kFront).principal->user, "eve");
  EXPECT_EQ(Identity(with({trusted(), dev()})).identify(both, kStranger).principal->user, "ada");
}

TEST(identity, makes_cookies_that_it_takes) {
  Identity identity(with({dev()}));
  const std::string made = identity.make_cookie("ada", false);
  EXPECT_TRUE(made.starts_with("alcove_dev=v1."));
  EXPECT_TRUE(made.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax")) << made;
  const std::string sent = made.substr(0, made.find(';'));
  EXPECT_EQ(identity.identify(head({{"Cookie", sent}}), kStranger).principal->user, "ada");
}

TEST(identity, writes_cookie_attributes_as_configured) {
  DevIdentity shared = dev();
  shared.cookie_domain = "example.com";
  shared.ttl = Millis{60'000};
  Identity identity(with({shared}));
  EXPECT_TRUE(identity.make_cookie("ada", true)
                  .ends_with("; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure; Domain=example.com"));
  EXPECT_EQ(identity.make_cookie("", true),
            "alcove_dev=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure; Domain=example.com");
}

TEST(identity, a_secret_that_was_not_configured_is_the_same_for_all_workers) {
  DevIdentity made_up = dev();
  made_up.secret.clear();
  const Identity one(with({made_up}));
  Identity two(with({made_up}));
  const std::string made = one.make_cookie("ada", false);
  const std::string sent = made.substr(0, made.find(';'));
  EXPECT_EQ(two.identify(head({{"Cookie", sent}}), kStranger).principal->user, "ada");
  const std::string guess = "alcove_dev=" + sign_cookie("", kCookie, "ada", in_an_hour());
  EXPECT_EQ(two.identify(head({{"Cookie", guess}}), kStranger).verdict, Verdict::nobody);
}

TEST(identity, names_what_pods_must_not_see) {
  const Identity identity(with({trusted("X-User-ID"), trusted("X-Auth-Request-User"), dev()}));
  EXPECT_EQ(identity.private_headers(), (std::vector<std::string>{"x-user-id", "x-auth-request-user"}));
  EXPECT_EQ(identity.private_cookie(), "alcove_dev");
  ASSERT_NE(identity.dev(), nullptr);
  const Identity none(with({}));
  EXPECT_EQ(none.private_cookie(), "");
  EXPECT_EQ(none.dev(), nullptr);
  EXPECT_EQ(none.make_cookie("ada", false), "");
}

TEST(identity, makes_a_jwt_once_for_half_of_its_life) {
  Identity identity(with({trusted()}));
  AppSettings app;
  app.name = "notebook";
  EXPECT_EQ(identity.pod_jwt(app, "ada", "notebook/ada"), "");
  app.identity_jwt.secret = kSecret;
  const std::string ada(identity.pod_jwt(app, "ada", "notebook/ada"));
  EXPECT_EQ(identity.pod_jwt(app, "ada", "notebook/ada"), ada);
  EXPECT_NE(identity.pod_jwt(app, "grace", "notebook/grace"), ada);

  const auto dot = ada.find('.');
  const auto last = ada.rfind('.');
  std::string claims;
  ASSERT_TRUE(base64url_decode(std::string_view(ada).substr(dot + 1, last - dot - 1), claims));
  EXPECT_EQ(jwt_hs256(kSecret, claims), ada);
  EXPECT_TRUE(
      claims.starts_with(R"({"iss":"alcove","sub":"ada","aud":"notebook","session":"notebook/ada","iat":)"))
      << claims;
}

}  // namespace
}  // namespace alcove::proxy
