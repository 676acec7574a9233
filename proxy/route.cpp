#include "proxy/route.hpp"

#include "base/session_key.hpp"
#include "base/text.hpp"

#include <boost/asio/ip/address_v6.hpp>

#include <algorithm>
#include <charconv>

namespace alcove::proxy {
namespace {

constexpr std::size_t kMaxHostBytes = 253;  // RFC 1035 2.3.4
constexpr std::size_t kAppsNamed = 5;       // more would be a list, not an answer

// What a byte of a host's name is written as here, or 0 where it may be in none.
constexpr std::array<char, 256> make_host_bytes() {
  std::array<char, 256> bytes{};
  for (unsigned char c = 'a'; c <= 'z'; ++c) bytes[c] = bytes[c - 'a' + 'A'] = static_cast<char>(c);
  for (unsigned char c = '0'; c <= '9'; ++c) bytes[c] = static_cast<char>(c);
  for (const unsigned char c : {'-', '_', '.'}) bytes[c] = static_cast<char>(c);
  return bytes;
}
constexpr std::array<char, 256> kHostBytes = make_host_bytes();

// RFC 3986 3.2.3: the port may be empty.
bool is_port(std::string_view text) {
  if (text.empty()) return true;
  unsigned port = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
  return ec == std::errc{} && end == text.data() + text.size() && port <= 65535;
}

std::string ipv6_name(std::string_view inside) {
  if (inside.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos) return {};
  boost::system::error_code bad;
  const auto address = boost::asio::ip::make_address_v6(std::string(inside), bad);
  return bad ? std::string{} : address.to_string();
}

// ":8080" as the client wrote it, so that the addresses we propose can be followed.
std::string_view port_of(std::string_view host) {
  const auto colon = host.rfind(':');
  if (colon == std::string_view::npos || host.find(']', colon) != std::string_view::npos) return {};
  return host.size() - colon > 1 ? host.substr(colon) : std::string_view{};
}

// "/notebook/" and "/notebook" are the same prefix.
std::string_view prefix_of(const AppSettings& app) {
  std::string_view prefix = app.path;
  while (!prefix.empty() && prefix.back() == '/') prefix.remove_suffix(1);
  return prefix;
}

bool has_prefix(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

// The domain that `host` is or lies under; `domains` has the longest first. Empty if none.
std::string_view domain_of(const std::vector<std::string>& domains, std::string_view host) {
  for (const std::string& domain : domains) {
    if (!host.ends_with(domain)) continue;
    if (host.size() == domain.size() || host[host.size() - domain.size() - 1] == '.') return domain;
  }
  return {};
}

// "there are: demo, notebook", or the addresses where to find them.
std::string known_apps(const Settings& settings, std::string_view domain, std::string_view port,
                       bool addresses) {
  std::string out;
  std::size_t count = 0;
  for (const AppSettings& app : settings.apps) {
    if (++count > kAppsNamed) continue;
    if (!out.empty()) out += ", ";
    out += app.name;
    if (addresses) out.append(1, '.').append(domain).append(port);
  }
  if (count > kAppsNamed) out += " and " + std::to_string(count - kAppsNamed) + " more";
  return out;
}

}  // namespace

std::string host_name(std::string_view host) {
  if (host.starts_with('[')) {
    const auto end = host.find(']');
    if (end == std::string_view::npos) return {};
    const std::string_view rest = host.substr(end + 1);
    if (!rest.empty() && (rest.front() != ':' || !is_port(rest.substr(1)))) return {};
    return ipv6_name(host.substr(1, end - 1));
  }
  const auto colon = host.find(':');
  if (colon != std::string_view::npos && !is_port(host.substr(colon + 1))) return {};
  host = host.substr(0, colon);
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty() || host.size() > kMaxHostBytes) return {};
  std::string out(host);
  char before = '.';
  for (char& c : out) {
    c = kHostBytes[static_cast<unsigned char>(c)];
    if (c == 0 || (c == '.' && before == '.')) return {};
    before = c;
  }
  if (before == '.') return {};
  return out;
}

Router::Router(SettingsPtr settings) : settings_(std::move(settings)) {
  for (const std::string& domain : settings_->domains)
    if (std::string name = host_name(domain); !name.empty()) domains_.push_back(std::move(name));
  std::stable_sort(domains_.begin(), domains_.end(),
                   [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
  for (const AppSettings& app : settings_->apps)
    if (!app.path.empty()) by_path_.push_back(&app);
  std::stable_sort(by_path_.begin(), by_path_.end(), [](const AppSettings* a, const AppSettings* b) {
    return prefix_of(*a).size() > prefix_of(*b).size();
  });
}

Route Router::route(std::string_view host, std::string_view path) const {
  Route route;
  const std::string name = host_name(host);
  if (name.empty()) {
    route.kind = Route::Kind::malformed;
    route.why = "\"" + printable(host, 80) + "\" is not a valid host name";
    return route;
  }
  const std::string_view path_only = without_query(path);
  const bool own = path_only.starts_with(kOwnPrefix);
  const std::string_view domain = domain_of(domains_, name);
  const std::string_view label = name.size() > domain.size() && !domain.empty()
                                     ? std::string_view(name).substr(0, name.size() - domain.size() - 1)
                                     : std::string_view{};

  if (!label.empty()) {
    if (const AppSettings* app = settings_->find_app(label)) {
      route.kind = own ? Route::Kind::own : Route::Kind::app;
      route.app = app;
      return route;
    }
    const auto dashes = label.rfind("--");
    if (dashes != std::string_view::npos && is_label(label.substr(0, dashes)) &&
        is_label(label.substr(dashes + 2))) {
      route.kind = own ? Route::Kind::own : Route::Kind::environment;
      route.name = label.substr(0, dashes);
      route.scope = label.substr(dashes + 2);
      return route;
    }
  }

  const bool bare_domain = !domain.empty() && label.empty();
  // Apps reached by path live on any host, and their users must be able to sign in there.
  if (own && (bare_domain || !by_path_.empty())) {
    route.kind = Route::Kind::own;
    return route;
  }
  if (!own) {
    for (const AppSettings* app : by_path_) {
      const std::string_view prefix = prefix_of(*app);
      if (!path_only.starts_with('/') || !has_prefix(path_only, prefix)) continue;
      route.kind = Route::Kind::app;
      route.app = app;
      route.strip = app->strip_path ? prefix.size() : 0;
      return route;
    }
  }

  const std::string_view first_domain =
      settings_->domains.empty() ? std::string_view{} : settings_->domains.front();
  const std::string where =
      known_apps(*settings_, domain.empty() ? first_domain : domain, port_of(host), true);
  if (!label.empty()) {
    const std::string names = known_apps(*settings_, domain, {}, false);
    route.why = "no app is called \"" + std::string(label) + "\" here";
    if (!names.empty()) route.why += "; there are: " + names;
  } else {
    route.why =
        bare_domain ? "there is nothing at this address" : "\"" + name + "\" is not a host of this gateway";
    if (!where.empty()) route.why += "; apps are at: " + where;
  }
  return route;
}

}  // namespace alcove::proxy
