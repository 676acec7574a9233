// Who asks, from what a client sends (proxy/identity), and what of it a pod could see (rule 18).
//   - a cookie is accepted only if it is, byte for byte, the one text that Alcove signs for this user and
//     expiry with this key and name;
//   - a user is known only by such a cookie, or by one trusted header from a trusted address;
//   - what goes on to the pod no longer signs anybody in, and a signed cookie comes back as it was made;
//   - a pod's JWT is read, by another reader than its writer, as the user and session it was made for.
// The text is the fields of a head. Bytes 1 to 5 in it stand for cookies: valid for ada, valid for a user
// whose name is no label, signed with another key, for another cookie, expired.
// Options: A the client's address is trusted; B the text is a user's name, to be signed as cookie and JWT.
#include "base/crypto.hpp"
#include "base/session_key.hpp"
#include "proxy/head_rules.hpp"
#include "proxy/identity/identity.hpp"
#include "proxy/identity/signed_cookie.hpp"
#include "tests/fuzz/check.hpp"
#include "tests/fuzz/input.hpp"

#include <nlohmann/json.hpp>

#include <memory>

namespace alcove::fuzz {
namespace {

constexpr std::string_view kSecret = "a key that nobody would guess, ever";
constexpr std::string_view kOtherSecret = "a key that somebody else has made";
constexpr std::string_view kCookie = "alcove_dev";
constexpr std::string_view kOddUser = "Ada Lovelace <ada@example.com>";
constexpr std::int64_t kLate = 32'503'680'000;  // the year 3000
constexpr proxy::HeadLimits kLimits{16 * 1024, 100};

SettingsPtr settings() {
  auto out = std::make_shared<Settings>();
  TrustedHeaderIdentity trusted;
  trusted.from = {*Cidr::parse("10.0.0.0/8")};
  DevIdentity dev;
  dev.secret = kSecret;
  out->identity = {trusted, dev};
  return out;
}

std::string with_cookies(std::string_view text) {
  static const std::array<std::string, 5> cookies{proxy::sign_cookie(kSecret, kCookie, "ada", kLate),
                                                  proxy::sign_cookie(kSecret, kCookie, kOddUser, kLate),
                                                  proxy::sign_cookie(kOtherSecret, kCookie, "ada", kLate),
                                                  proxy::sign_cookie(kSecret, "another_cookie", "ada", kLate),
                                                  proxy::sign_cookie(kSecret, kCookie, "ada", 1'000'000)};
  std::string out;
  for (const char c : text) {
    if (c >= 1 && c <= 5)
      out += cookies[static_cast<std::size_t>(c - 1)];
    else
      out.push_back(c);
  }
  return out;
}

void check_signing(const Input& input) {
  const std::string user(input.text().substr(0, kMaxUserBytes));
  const std::string cookie = proxy::sign_cookie(kSecret, kCookie, user, kLate);
  require(cookie.size() <= proxy::kMaxSignedCookieBytes, "a signed cookie is not too long to be read",
          cookie);
  require(cookie.find_first_of("; ,\t\r\n\"\\") == std::string::npos, "a signed cookie fits into a cookie",
          cookie);
  const auto known = proxy::verify_cookie(kSecret, kCookie, cookie, kLate - 1);
  require(known && known->user == user && known->expires_s == kLate, "what is signed is read back", cookie);
  require(!proxy::verify_cookie(kSecret, kCookie, cookie, kLate), "it ends", cookie);
  require(!proxy::verify_cookie(kOtherSecret, kCookie, cookie, 0), "another key opens nothing", cookie);
  require(!proxy::verify_cookie(kSecret, "alcove_de", cookie, 0), "another name opens nothing", cookie);

  // One byte changed, somewhere.
  Cuts cuts = input.cuts();
  std::string changed = cookie;
  char& byte = changed[cuts.next(changed.size()) - 1];
  byte = static_cast<char>(byte ^ static_cast<char>(cuts.next(255)));
  require(changed == cookie || !proxy::verify_cookie(kSecret, kCookie, changed, 0),
          "a changed cookie is worthless", changed);
}

// RFC 7519 and 7515: three parts, the last one signs the others.
void check_jwt(std::string_view user) {
  static proxy::Identity identity(settings());
  const auto label = session_name(user);
  if (!label) return;  // such a name never comes so far
  AppSettings app;
  app.name = "lab";
  app.identity_jwt.secret = kSecret;
  const std::string session = "lab/" + *label;
  const std::string_view jwt = identity.pod_jwt(app, user, session);
  const auto first = jwt.find('.');
  const auto second = jwt.rfind('.');
  require(first < second && second != std::string_view::npos, "a JWT has three parts", jwt);
  const Digest digest = hmac_sha256(kSecret, jwt.substr(0, second));
  require(base64url({reinterpret_cast<const char*>(digest.data()), digest.size()}) == jwt.substr(second + 1),
          "a JWT is signed", jwt);
  std::string claims;
  require(base64url_decode(jwt.substr(first + 1, second - first - 1), claims), "claims are base64url", jwt);
  const auto read = nlohmann::json::parse(claims, nullptr, false);
  require(read.is_object() && read.value("sub", "") == user && read.value("session", "") == session &&
              read.value("aud", "") == "lab" && read.value("exp", 0) > read.value("iat", 0),
          "a JWT says who asks", claims, user);
}

void check_text(std::string_view text) {
  // A cookie that is accepted is the one that would be made.
  if (const auto known = proxy::verify_cookie(kSecret, kCookie, text, 0))
    require(text == proxy::sign_cookie(kSecret, kCookie, known->user, known->expires_s),
            "only the text that is made is accepted", text);
  std::string decoded;
  if (base64url_decode(text, decoded))
    require(base64url(decoded) == text, "there is one text for some bytes", text, decoded);
  require(base64url_decode(base64url(text), decoded) && decoded == text, "base64url is read back", text);
}

// The cookies of a line, as written here a second time.
std::vector<std::pair<std::string, std::string>> cookies_of(std::string_view line) {
  std::vector<std::pair<std::string, std::string>> out;
  for (std::size_t at = 0; at <= line.size();) {
    const std::size_t end = std::min(line.find(';', at), line.size());
    const std::string_view pair = line.substr(at, end - at);
    if (const auto equal = pair.find('='); equal != std::string_view::npos)
      out.emplace_back(trim(pair.substr(0, equal)), trim(pair.substr(equal + 1)));
    at = end + 1;
  }
  return out;
}

void check_identity(const Input& input) {
  static proxy::Identity identity(settings());
  static const auto kFront = boost::asio::ip::make_address("10.1.2.3");
  static const auto kStranger = boost::asio::ip::make_address("203.0.113.9");
  const std::string fields = with_cookies(input.text());
  const std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n\r\n";
  std::size_t line = 0;
  std::size_t end = 0;
  if (proxy::find_head_end(bytes, line, end) != proxy::HeadScan::complete) return;
  proxy::RequestHead head;
  if (proxy::parse_request_head(std::string_view(bytes).substr(0, end), kLimits, head)) return;

  // What may make somebody known.
  std::vector<std::string> names;
  unsigned headers = 0;
  std::string_view header;
  for (const proxy::HeadField& field : head.fields) {
    if (iequals(field.name, "x-user-id")) ++headers, header = field.value;
    if (!iequals(field.name, "cookie")) continue;
    const auto cookies = cookies_of(field.value);
    std::string_view rest = field.value;
    std::string_view name;
    std::string_view value;
    for (const auto& [expected_name, expected_value] : cookies) {
      require(proxy::next_cookie(rest, name, value) && name == expected_name && value == expected_value,
              "cookies are told apart", field.value);
      if (name != kCookie) continue;
      for (const std::string_view user : {std::string_view("ada"), kOddUser})
        if (value == proxy::sign_cookie(kSecret, kCookie, user, kLate)) names.emplace_back(user);
    }
    require(!proxy::next_cookie(rest, name, value), "there are no more cookies", field.value);
  }
  const bool trusted = input.option(0);
  if (trusted && headers == 1 && !header.empty()) names.assign(1, std::string(header));
  if (trusted && headers > 1) names.clear();

  const auto answer = identity.identify(head, trusted ? kFront : kStranger);
  const bool known = answer.verdict == proxy::Identity::Verdict::known;
  require(known == (answer.principal != nullptr), "who is known has a name");
  if (known) {
    require(std::find(names.begin(), names.end(), answer.principal->user) != names.end(),
            "only a signed cookie or a trusted header makes somebody known", answer.principal->user, bytes);
    require(is_label(answer.principal->session_name) &&
                *session_name(answer.principal->user) == answer.principal->session_name,
            "the session is that user's", answer.principal->session_name);
  }
  if (answer.verdict == proxy::Identity::Verdict::refused)
    require(trusted && headers > 0 && !answer.why.empty(), "only a trusted header is refused", answer.why);

  proxy::RequestRules rules;
  rules.peer_address = "203.0.113.9";
  rules.request_id = "0123456789abcdef";
  rules.private_cookie = identity.private_cookie();
  rules.private_headers = &identity.private_headers();
  std::string rewritten;
  proxy::write_request_head(head, rules, rewritten);
  proxy::RequestHead seen_by_pod;
  require(!proxy::parse_request_head(rewritten, {64 * 1024, 200}, seen_by_pod), "what is written can be read",
          rewritten);
  require(identity.identify(seen_by_pod, kFront).verdict == proxy::Identity::Verdict::nobody,
          "what a pod sees signs nobody in", rewritten);
}

}  // namespace
}  // namespace alcove::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace alcove::fuzz;
  const Input input(data, size);
  if (input.option(1)) {
    check_signing(input);
    check_jwt(input.text());
  } else {
    check_text(input.text());
    check_text(with_cookies(input.text()));
    check_identity(input);
  }
  return 0;
}
