#include "config/redis_url.hpp"

#include "base/text.hpp"

#include <charconv>

namespace alcove {
namespace {

constexpr std::string_view kForm = "redis://user:password@host:6379/0, or rediss:// for TLS";

Error invalid(std::string_view what) {
  return {Errc::invalid, std::string(what) + "; the form is " + std::string(kForm)};
}

template <class Number>
bool whole(std::string_view text, Number& out) {
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out);
  return ec == std::errc{} && end == text.data() + text.size();
}

}  // namespace

Result<RedisStoreSettings> parse_redis_url(std::string_view url) {
  RedisStoreSettings out;
  if (url.starts_with("rediss://"))
    out.tls = true;
  else if (!url.starts_with("redis://"))
    return invalid("the URL must begin with redis:// or rediss://");
  url.remove_prefix(url.find("://") + 3);
  if (url.find_first_of("?#") != std::string_view::npos)
    return invalid("a Redis URL has no ? or # part (write %3F, %23 in a password)");

  if (const auto slash = url.rfind('/'); slash != std::string_view::npos) {
    const std::string_view database = url.substr(slash + 1);
    if (!database.empty() && !whole(database, out.database))
      return invalid("the database after the last / must be a number");
    url = url.substr(0, slash);
  }
  if (const auto at = url.rfind('@'); at != std::string_view::npos) {
    const std::string_view login = url.substr(0, at);
    const auto colon = login.find(':');
    const std::string_view password =
        colon == std::string_view::npos ? std::string_view{} : login.substr(colon + 1);
    if (!percent_decode(login.substr(0, colon), out.user) || !percent_decode(password, out.password))
      return invalid("user and password are percent-encoded, and here is a bad %");
    url = url.substr(at + 1);
  }
  std::string_view host = url;
  std::string_view port;
  if (host.starts_with('[')) {
    const auto end = host.find(']');
    if (end == std::string_view::npos) return invalid("the host has a [ without a ]");
    port = host.substr(end + 1);
    host = host.substr(1, end - 1);
    if (!port.empty() && port.front() != ':') return invalid("after the host comes :PORT");
    if (!port.empty()) port.remove_prefix(1);
  } else if (const auto colon = host.find(':'); colon != std::string_view::npos) {
    port = host.substr(colon + 1);
    host = host.substr(0, colon);
  }
  if (host.empty() || host.find_first_of(" /@") != std::string_view::npos)
    return invalid("the host is missing or malformed");
  if (!port.empty() && (!whole(port, out.port) || out.port == 0))
    return invalid("the port must be a number from 1 to 65535");
  out.host = host;
  return out;
}

}  // namespace alcove
