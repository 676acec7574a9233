// Route: from host and path to the app or environment that is meant. Pure, no I/O, any thread.
// Step 4 of the way of a request; called by exchange.
//   app.DOMAIN            the caller's own session of `app`
//   name--scope.DOMAIN    the session scope/name, if the caller may enter it (its owner)
//   any host, /path/...   the app whose `path` is the longest prefix, on whole segments
//   DOMAIN itself         Alcove's own pages only
//   any other host        Alcove's own pages too if some app is reached by path: its users sign in there
#pragma once

#include "config/settings.hpp"
#include "proxy/head.hpp"

#include <string>
#include <string_view>

namespace alcove::proxy {

struct Route {
  enum class Kind : std::uint8_t {
    app,          // app is set: the session app/session_name(user)
    environment,  // scope and name are set: an existing session
    own,          // a path under /.alcove/ : ours; app (or scope and name) set if the host says which
    nothing,      // unknown host or path: 404, `why` says what is known
    malformed,    // the host is no host name: 400, `why` says so
  };
  Kind kind = Kind::nothing;
  const AppSettings* app = nullptr;  // points into the Settings given to the Router
  std::string scope;                 // environment
  std::string name;
  std::size_t strip = 0;  // bytes of the path that the pod does not see (it always gets a leading '/')
  std::string why;
};

inline constexpr std::string_view kOwnPrefix = "/.alcove/";

class Router {
 public:
  explicit Router(SettingsPtr settings);
  // `host` as in RequestHead (any case, with or without port, IPv6 literal in brackets); `path` with or
  // without query.
  Route route(std::string_view host, std::string_view path) const;

 private:
  SettingsPtr settings_;
  std::vector<std::string> domains_;         // lower case, longest first
  std::vector<const AppSettings*> by_path_;  // longest prefix first
};

// Host without port and brackets, lower case; empty if malformed (bad port, empty name, characters outside
// a-z 0-9 - . _ and IPv6).  Source: RFC 9112 3.2, RFC 3986 3.2.2.
std::string host_name(std::string_view host);

}  // namespace alcove::proxy
