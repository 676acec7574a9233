#include "config/validate.hpp"

#include "base/text.hpp"
#include "config/files.hpp"
#include "config/units.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>

namespace alcove {
namespace {

std::string item(std::string_view list, std::size_t index) {
  return std::string(list) + "[" + std::to_string(index) + "]";
}

// RFC 9110 5.6.2: what a header or cookie name is made of.
bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

bool is_printable_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

// Names that mean something to HTTP itself and so can carry no user.
bool is_taken_header(std::string_view name) {
  constexpr std::array<std::string_view, 14> kTaken{
      "Host",    "Cookie", "Connection", "Content-Length", "Transfer-Encoding", "TE",      "Trailer",
      "Upgrade", "Expect", "Forwarded",  "Origin",         "Set-Cookie",        "Referer", "X-Forwarded-For"};
  return std::any_of(kTaken.begin(), kTaken.end(),
                     [&](std::string_view taken) { return iequals(taken, name); });
}

void check_header_name(Reading& reading, const std::string& key, const std::string& name) {
  if (!is_token(name))
    reading.fault_at(key, quoted(name) + " is not a header name, such as X-User-ID");
  else if (is_taken_header(name))
    reading.fault_at(key, name + " has a meaning of its own in HTTP; use another name, such as X-User-ID");
}

// Would both listen to the same address and port?
bool overlap(const Endpoint& a, const Endpoint& b) {
  if (a.port() != b.port() || a.port() == 0) return false;
  if (a.address() == b.address()) return true;
  const auto covers = [](const Endpoint& wide, const Endpoint& other) {
    if (!wide.address().is_unspecified()) return false;
    return wide.address().is_v6() || other.address().is_v4();
  };
  return covers(a, b) || covers(b, a);
}

std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "unknown error" : reason;
}

void check_tls(Reading& reading, const std::string& key, const TlsFiles& files) {
  for (const auto& [name, path] :
       {std::pair{".certificate", &files.certificate}, std::pair{".key", &files.key}})
    if (auto content = read_file(*path, 4 << 20); !content)
      return reading.fault_at(key + name, content.error().text);
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_server_method()),
                                                                  &SSL_CTX_free);
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1)
    return reading.fault_at(key + ".certificate",
                            quoted(files.certificate) + " is no PEM certificate chain: " + openssl_reason());
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1)
    return reading.fault_at(key + ".key",
                            quoted(files.key) + " is no PEM key for this certificate: " + openssl_reason());
}

void check_listen(const Settings& settings, Reading& reading) {
  if (settings.listen.empty())
    reading.fault_at("listen", "needs at least one address, such as 127.0.0.1:8080");
  for (std::size_t i = 0; i < settings.listen.size(); ++i) {
    const ListenSettings& listen = settings.listen[i];
    for (std::size_t j = 0; j < i; ++j)
      if (overlap(listen.endpoint, settings.listen[j].endpoint))
        reading.fault_at(item("listen", i),
                         to_string(listen.endpoint) + " is taken by " + item("listen", j) + " already");
    if (overlap(listen.endpoint, settings.admin.endpoint))
      reading.fault_at("admin.address",
                       to_string(settings.admin.endpoint) + " is taken by " + item("listen", i) + " already");
    if (listen.tls) check_tls(reading, item("listen", i) + ".tls", *listen.tls);
  }
}

void check_admin(const AdminSettings& admin, Reading& reading) {
  if (admin.token.empty() && !admin.endpoint.address().is_loopback())
    reading.fault_at("admin.address",
                     to_string(admin.endpoint) +
                         " can be reached from other machines: set admin.token, or listen on 127.0.0.1");
  if (!is_printable_ascii(admin.token))
    reading.fault_at("admin.token", "must be printable ASCII without spaces");
}

void check_identity(const Settings& settings, Reading& reading) {
  if (settings.identity.empty())
    reading.fault_at("identity",
                     "nobody could be known: needs a list, such as "
                     "[{trusted_header: {header: X-User-ID, from: [127.0.0.1/32]}}] or [dev]");
  const bool redis = std::holds_alternative<RedisStoreSettings>(settings.store);
  bool dev_before = false;
  for (std::size_t i = 0; i < settings.identity.size(); ++i) {
    const std::string key = item("identity", i);
    if (const auto* trusted = std::get_if<TrustedHeaderIdentity>(&settings.identity[i])) {
      check_header_name(reading, key + ".trusted_header.header", trusted->header);
      if (trusted->from.empty())
        reading.fault_at(
            key + ".trusted_header.from",
            "needs the addresses of who may say this header, such as [127.0.0.1/32, 10.0.0.0/8]");
      continue;
    }
    const auto& dev = std::get<DevIdentity>(settings.identity[i]);
    if (dev_before) reading.fault_at(key, "dev is in the list already");
    dev_before = true;
    if (!is_token(dev.cookie))
      reading.fault_at(key + ".dev.cookie", quoted(dev.cookie) + " is not a cookie name");
    if (!dev.secret.empty() && dev.secret.size() < 16)
      reading.fault_at(key + ".dev.secret",
                       "must have at least 16 bytes, such as the output of: openssl rand -hex 32");
    if (!dev.cookie_domain.empty() && !is_token(dev.cookie_domain))
      reading.fault_at(key + ".dev.cookie_domain",
                       quoted(dev.cookie_domain) + " is not a domain, such as apps.example.com");
    if (dev.secret.empty() && redis)
      reading.warn_at(key,
                      "each gateway makes a secret of its own, so that another one does not know who signed "
                      "in here; set dev.secret");
    const auto open =
        std::find_if(settings.listen.begin(), settings.listen.end(),
                     [](const ListenSettings& listen) { return !listen.endpoint.address().is_loopback(); });
    if (open != settings.listen.end())
      reading.warn_at(key, "dev believes every name, and " + to_string(open->endpoint) +
                               " can be reached from other machines");
  }
}

void check_store(const StoreSettings& store, Reading& reading) {
  const auto* redis = std::get_if<RedisStoreSettings>(&store);
  if (redis == nullptr) return;
  if (redis->host.empty()) reading.fault_at("store.redis.host", "needs a host name or address");
  if (redis->prefix.empty() || !is_printable_ascii(redis->prefix) ||
      redis->prefix.find_first_of("{}*?[]\\") != std::string::npos)
    reading.fault_at("store.redis.prefix",
                     quoted(redis->prefix) + " cannot begin a key: letters, digits, - and : are fine");
  if (redis->ca_file.empty()) return;
  if (!redis->tls)
    reading.warn_at("store.redis.ca_file", "is not used without tls");
  else if (auto content = read_file(redis->ca_file, 16 << 20); !content)
    reading.fault_at("store.redis.ca_file", content.error().text);
}

// An IPv4 block inside 127.0.0.0/8 with room for pods.
bool is_pod_network(const std::string& text) {
  const auto block = Cidr::parse(text);
  const auto slash = text.find('/');
  if (!block || slash == std::string::npos || !text.starts_with("127.")) return false;
  int bits = 0;
  std::from_chars(text.data() + slash + 1, text.data() + text.size(), bits);
  return bits >= 8 && bits <= 30;
}

void check_runtime(const Settings& settings, Reading& reading) {
  if (const auto* local = std::get_if<LocalRuntimeSettings>(&settings.runtime)) {
    if (!local->directory.empty() && !local->directory.starts_with('/'))
      reading.fault_at("runtime.local.directory", quoted(local->directory) + " is not an absolute path");
    if (!is_pod_network(local->network))
      reading.fault_at("runtime.local.network",
                       quoted(local->network) + " is not a loopback network for pods, such as 127.96.0.0/11");
    return;
  }
  if (const auto* kubernetes = std::get_if<KubernetesRuntimeSettings>(&settings.runtime))
    return check_kubernetes_runtime(*kubernetes, reading);
  const auto& endpoints = std::get<StaticRuntimeSettings>(settings.runtime).endpoints;
  if (endpoints.empty())
    reading.fault_at("runtime.static.endpoints",
                     "needs the endpoints to hand out, such as [127.0.1.1:9000, 127.0.1.2:9000]");
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    const std::string key = item("runtime.static.endpoints", i);
    if (std::find(endpoints.begin(), endpoints.begin() + static_cast<std::ptrdiff_t>(i), endpoints[i]) !=
        endpoints.begin() + static_cast<std::ptrdiff_t>(i))
      reading.fault_at(key, to_string(endpoints[i]) + " is in the list already");
    for (const ListenSettings& listen : settings.listen)
      if (listen.endpoint == endpoints[i])
        reading.fault_at(key, to_string(endpoints[i]) + " is where Alcove itself listens");
  }
}

void check_times(const Settings& settings, Reading& reading) {
  if (settings.provisioner.retry_first > settings.provisioner.retry_most)
    reading.fault_at("provisioner.retry_first", "must not be longer than retry_most, " +
                                                    format_duration(settings.provisioner.retry_most));
  if (settings.outage.serve_known_for < 2 * settings.activity_interval)
    reading.fault_at("outage.serve_known_for",
                     "must be at least two activity intervals (" +
                         format_duration(2 * settings.activity_interval) +
                         "): the store is heard once in each, and known routes are used only so long");
}

// As Mapping writes it: whatever the name, faults are printable, and none follows from one that is known.
std::string key_of(const AppSettings& app) {
  return "apps." + printable(app.name, 80);
}

void check_app_path(const AppSettings& app, const std::string& key, Reading& reading) {
  if (app.path.empty()) return;
  if (!app.path.starts_with('/') || app.path.find("//") != std::string::npos ||
      app.path.find_first_of("?#% \t\r\n\\") != std::string::npos)
    reading.fault_at(key, quoted(app.path) + " is not a path prefix, such as /notebook/");
  else if (app.path == "/.alcove" || app.path.starts_with("/.alcove/"))
    reading.fault_at(key, "/.alcove/ is Alcove's own");
}

void check_identity_jwt(const AppSettings& app, const std::string& key, Reading& reading) {
  check_header_name(reading, key + ".header", app.identity_jwt.header);
  if (iequals(app.identity_jwt.header, app.identity_header))
    reading.fault_at(key + ".header",
                     app.identity_header + " is the identity_header already: use another name");
  // RFC 7518 3.2 asks for a key as long as the hash.
  if (!app.identity_jwt.secret.empty() && app.identity_jwt.secret.size() < 32)
    reading.fault_at(key + ".secret",
                     "must have at least 32 bytes, such as the output of: openssl rand -hex 32");
}

void check_app(const Settings& settings, const AppSettings& app, Reading& reading) {
  const std::string key = key_of(app);
  check_app_path(app, key + ".path", reading);
  if (app.strip_path && app.path.empty()) reading.warn_at(key + ".strip_path", "does nothing without a path");
  if (!app.host_header.empty() &&
      (!is_printable_ascii(app.host_header) || app.host_header.find_first_of("/?#@") != std::string::npos))
    reading.fault_at(key + ".host_header",
                     quoted(app.host_header) + " is not a host, such as localhost or app.internal:8080");
  if (!app.identity_header.empty()) check_header_name(reading, key + ".identity_header", app.identity_header);
  check_identity_jwt(app, key + ".identity_jwt", reading);
  if (!app.ready_path.empty() && (!app.ready_path.starts_with('/') || !is_printable_ascii(app.ready_path)))
    reading.fault_at(key + ".ready_path",
                     quoted(app.ready_path) + " is not a path: it begins with / and has no spaces");
  if (std::holds_alternative<LocalRuntimeSettings>(settings.runtime) && app.command.empty())
    reading.fault_at(key + ".command",
                     "the local runtime needs to know what to run, such as [python3, -m, http.server, "
                     "\"{port}\", --bind, \"{address}\"]");
  check_kubernetes_app(settings, app, key, reading);
  if (app.idle_timeout > Millis{0} && app.idle_timeout < 2 * settings.activity_interval)
    reading.fault_at(key + ".idle_timeout", "must be at least two activity intervals (" +
                                                format_duration(2 * settings.activity_interval) +
                                                "), or users in the middle of something would look idle");
  if (app.waiting_page_after >= app.hold_timeout)
    reading.warn_at(key + ".waiting_page_after", "is not before hold_timeout (" +
                                                     format_duration(app.hold_timeout) +
                                                     "): no browser ever sees the waiting page");
}

void check_apps(const Settings& settings, Reading& reading) {
  if (settings.apps.empty())
    reading.fault_at("apps", "there are none: needs at least one, such as demo: {command: [...]}");
  const auto prefix = [](const AppSettings& app) {
    std::string_view path = app.path;
    while (path.ends_with('/')) path.remove_suffix(1);
    return path;
  };
  for (const AppSettings& app : settings.apps) {
    check_app(settings, app, reading);
    for (const AppSettings& other : settings.apps) {
      if (&other == &app) break;
      if (!app.path.empty() && !other.path.empty() && prefix(app) == prefix(other))
        reading.fault_at(key_of(app) + ".path",
                         quoted(app.path) + " belongs to the app " + printable(other.name, 80) + " already");
    }
  }
}

// A Unix socket's path has 107 bytes at most (unix(7)), and until it is published ours ends in the process
// id.
void check_takeover(const Settings& settings, Reading& reading) {
  constexpr std::size_t kMost = 96;
  const std::string& path = settings.takeover;
  if (path.empty()) return;
  if (path.front() != '/' || path.back() == '/' || path.size() > kMost)
    reading.fault_at("takeover", quoted(path) + " must be the absolute path of a socket, " +
                                     std::to_string(kMost) +
                                     " bytes at most, such as /run/alcove/gateway.sock");
}

}  // namespace

void validate(const Settings& settings, Reading& reading) {
  check_listen(settings, reading);
  check_takeover(settings, reading);
  check_admin(settings.admin, reading);
  check_identity(settings, reading);
  check_store(settings.store, reading);
  check_runtime(settings, reading);
  check_times(settings, reading);
  check_apps(settings, reading);
}

}  // namespace alcove
