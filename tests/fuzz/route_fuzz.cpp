// Hosts, paths, users and keys (proxy/route, base/session_key, base/text).
//   - a host means the same in any case and with any port, and the name of a name is itself;
//   - an app is reached by its own name or path only, an environment by two labels;
//   - every user has one label, and two users never have the same one;
//   - keys, percent-encoding and forms are read back as they were written.
// The text: host, path, user, another user, a line each.
#include "base/session_key.hpp"
#include "proxy/route.hpp"
#include "tests/fuzz/check.hpp"
#include "tests/fuzz/input.hpp"

#include <array>

namespace alcove::fuzz {
namespace {

using proxy::Route;

SettingsPtr settings() {
  auto out = std::make_shared<Settings>();
  out->domains = {"localhost", "apps.example.com"};
  for (const char* name : {"demo", "notebook"}) out->apps.emplace_back().name = name;
  AppSettings& by_path = out->apps.emplace_back();
  by_path.name = "lab";
  by_path.path = "/lab/";
  by_path.strip_path = true;
  return out;
}

std::string upper_case(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

bool is_name(std::string_view text) {
  for (const char c : text)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == ':'))
      return false;
  return true;
}

void check_host(std::string_view host) {
  const std::string name = proxy::host_name(host);
  require(proxy::host_name(upper_case(host)) == name, "case changes nothing", host);
  if (name.empty()) return;
  require(is_name(name), "a host's name is made of plain characters", host, name);
  const bool v6 = name.find(':') != std::string::npos;
  const std::string written = v6 ? "[" + name + "]" : name;
  require(proxy::host_name(written) == name && proxy::host_name(written + ":443") == name,
          "the name of a name is itself, with any port", host, name);
}

void check_route(std::string_view host, std::string_view path) {
  static const SettingsPtr known = settings();
  static const proxy::Router router(known);
  const Route route = router.route(host, path);
  const Route upper = router.route(upper_case(host), path);
  require(upper.kind == route.kind && upper.app == route.app && upper.name == route.name &&
              upper.scope == route.scope && upper.strip == route.strip,
          "case changes no route", host);
  const std::string name = proxy::host_name(host);
  require(name.empty() == (route.kind == Route::Kind::malformed), "what has no name is malformed", host);
  require(printable(route.why, route.why.size()) == route.why, "why is printable", route.why);
  switch (route.kind) {
    case Route::Kind::app:
      if (name == route.app->name + ".localhost" || name == route.app->name + ".apps.example.com") {
        require(route.strip == 0, "nothing is stripped for a host");
      } else {
        require(route.app->path == "/lab/" && path.starts_with("/lab") && route.strip == 4 &&
                    (path.size() == 4 || path[4] == '/' || path[4] == '?' || path[4] == '#'),
                "an app is reached by its host or its path", host, path);
      }
      break;
    case Route::Kind::environment:
      require(is_label(route.name) && is_label(route.scope), "an environment has two labels");
      require(name == route.name + "--" + route.scope + ".localhost" ||
                  name == route.name + "--" + route.scope + ".apps.example.com",
              "an environment is reached by its host", host);
      break;
    case Route::Kind::own:
      require(path.starts_with("/.alcove/"), "Alcove's own pages have their own path", path);
      break;
    case Route::Kind::nothing:
    case Route::Kind::malformed:
      require(!route.why.empty(), "what leads nowhere says why", host, path);
      break;
  }
}

void check_users(std::string_view one, std::string_view other) {
  const auto name = session_name(one);
  const auto other_name = session_name(other);
  if (!name) return require(!name.error().text.empty(), "a refused user is told why");
  require(is_label(*name), "a session's name is a label", one, *name);
  require(is_utf8(one) && one.size() <= kMaxUserBytes, "only what is text has a session", one);
  require(*session_name(one) == *name, "a user has one session");
  if (other_name && one != other)
    require(*name != *other_name, "two users have two sessions", one, other, *name);
  // Nobody can call himself as another's session is called.
  if (*name != one && one != *name) {
    const auto impostor = session_name(*name);
    require(!impostor || *impostor != *name, "nobody can choose another's session", one, *name);
  }
  const SessionKey key("demo", *name);
  const auto parsed = SessionKey::parse(key.text());
  require(parsed && *parsed == key && parsed->name() == *name, "a key is read back", key.text());
}

void check_text(std::string_view text) {
  if (const auto key = SessionKey::parse(text))
    require(key->text() == text && is_label(key->scope()) && is_label(key->name()), "a key is its text",
            text);
  std::string decoded;
  require(percent_decode(percent_encode(text), decoded) && decoded == text, "percent-encoding is read back",
          text);
  require(form_value("a=b&to=" + percent_encode(text) + "&c", "to", decoded) && decoded == text,
          "a form is read back", text);
  form_value(text, "to", decoded);
  const std::string shown = printable(text, 80);
  require(shown.size() <= 80 + 3 + 3, "what is shown has an end", shown);
  const std::string escaped = html_escape(text);
  require(escaped.find_first_of("<>\"'") == std::string::npos, "what is shown in a page is no page", escaped);
  const auto endpoint = parse_endpoint(text);
  if (endpoint) {
    const auto again = parse_endpoint(to_string(*endpoint));
    require(again && *again == *endpoint, "an endpoint is read back", text);
  }
  if (const auto block = Cidr::parse(text)) {
    const auto again = Cidr::parse(block->text());
    require(again && again->text() == block->text(), "an address block is read back", text);
  }
}

}  // namespace
}  // namespace alcove::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace alcove::fuzz;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::array<std::string_view, 4> lines;
  for (std::string_view& line : lines) {
    line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    check_text(line);
  }
  check_host(lines[0]);
  check_route(lines[0], lines[1]);
  check_users(lines[2], lines[3]);
  return 0;
}
