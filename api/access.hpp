// Who may use the admin listener. Pure, any thread.
// With a token: whoever sends it. Without: whoever is on this machine, but no web page that a browser on this
// machine shows. So the Host must be a loopback name or address (a rebound DNS name is not), and changes must
// not come from a page of another origin.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace alcove {

struct AccessQuestion {
  std::string_view host;           // Host, as sent
  std::string_view authorization;  // Authorization
  std::string_view origin;         // Origin, empty: none sent
  std::string_view fetch_site;     // Sec-Fetch-Site, empty: none sent
  bool changes = false;            // not GET or HEAD
};

struct Refusal {
  int status = 403;  // 401: a token is asked for
  std::string text;
};

std::optional<Refusal> refuse_access(const AccessQuestion& question, std::string_view token);

}  // namespace alcove
