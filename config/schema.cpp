#include "config/schema.hpp"

#include "base/session_key.hpp"
#include "base/text.hpp"
#include "config/redis_url.hpp"

#include <limits>

namespace alcove {
namespace {

using Count = Range<std::uint32_t>;
using Time = Range<Millis>;
constexpr std::uint32_t kMany = 10'000'000;
constexpr Millis kSecond{1'000};
constexpr Millis kDay{86'400'000};

void read_endpoint(const Value& value, Endpoint& out) {
  std::string text;
  if (!value.read(text)) return;
  const auto endpoint = parse_listen_endpoint(text);
  if (endpoint)
    out = *endpoint;
  else
    value.fault(endpoint.error().text);
}

void read_blocks(const Value& value, std::vector<Cidr>& out) {
  if (!value.present()) return;
  out.clear();
  for (const Value& item : value.items(true)) {
    std::string text;
    if (!item.read(text)) continue;
    const auto block = Cidr::parse(text);
    if (block)
      out.push_back(*block);
    else
      item.fault(block.error().text);
  }
}

void read_listen(const Value& value, std::vector<ListenSettings>& out) {
  if (!value.present()) return;
  out.clear();
  for (const Value& item : value.items(true)) {
    ListenSettings& listen = out.emplace_back();
    if (item.is_text()) {
      read_endpoint(item, listen.endpoint);
      continue;
    }
    Mapping mapping(item);
    const Value address = mapping.at("address");
    if (!address.present()) item.fault("needs an address, such as {address: 127.0.0.1:8080}");
    read_endpoint(address, listen.endpoint);
    const Value tls = mapping.at("tls");
    Mapping files(tls);
    if (tls.present()) {
      listen.tls.emplace();
      const bool certificate = files.at("certificate").read(listen.tls->certificate);
      const bool key = files.at("key").read(listen.tls->key);
      if (!certificate || !key)
        tls.reading().fault_at(tls.key(), "needs certificate and key, both PEM files");
    }
    files.refuse_unknown();
    mapping.refuse_unknown();
  }
}

void read_domains(const Value& value, std::vector<std::string>& out) {
  if (!value.present()) return;
  out.clear();
  for (const Value& item : value.items(true)) {
    std::string domain;
    if (!item.read(domain)) continue;
    for (char& c : domain) c = lower(c);
    std::string_view rest = domain;
    bool good = !rest.empty() && rest.size() <= 253;
    while (good) {
      const auto dot = rest.find('.');
      good = is_label(rest.substr(0, dot));
      if (dot == std::string_view::npos) break;
      rest.remove_prefix(dot + 1);
    }
    if (good)
      out.push_back(std::move(domain));
    else
      item.fault(quoted(domain) + " is not a domain, such as localhost or apps.example.com (no port, no *)");
  }
  if (out.empty()) value.reading().fault_at(value.key(), "needs at least one domain");
}

void read_identity(const Value& value, std::vector<IdentitySettings>& out) {
  out.clear();
  for (const Value& item : value.items()) {
    const auto choice = choose(item, {"trusted_header", "dev"});
    if (!choice) continue;
    Mapping mapping(choice->value);
    if (choice->kind == 0) {
      TrustedHeaderIdentity trusted;
      mapping.at("header").read(trusted.header);
      read_blocks(mapping.at("from"), trusted.from);
      out.emplace_back(std::move(trusted));
    } else {
      DevIdentity dev;
      mapping.at("cookie").read(dev.cookie);
      mapping.at("secret").read_secret(dev.secret);
      mapping.at("ttl").read(dev.ttl, Time{60 * kSecond, 400 * kDay});
      mapping.at("cookie_domain").read(dev.cookie_domain);
      out.emplace_back(std::move(dev));
    }
    mapping.refuse_unknown();
  }
}

void read_redis(const Value& value, StoreSettings& out) {
  RedisStoreSettings redis;
  Mapping mapping(value);
  const Value url = mapping.at("url");
  std::string text;
  if (url.read_secret(text)) {
    const auto parsed = parse_redis_url(text);
    if (parsed)
      redis = *parsed;
    else
      url.fault(parsed.error().text);
  }
  const auto part = [&](const char* key) {
    Value found = mapping.at(key);
    if (found.present() && url.present()) found.fault("the url says this already: write one of the two");
    return found;
  };
  part("host").read(redis.host);
  part("port").read(redis.port, Range<std::uint16_t>{1, 65535});
  part("user").read(redis.user);
  part("password").read_secret(redis.password);
  part("database").read(redis.database, Count{0, 1'000'000});
  part("tls").read(redis.tls);
  mapping.at("ca_file").read(redis.ca_file);
  mapping.at("prefix").read(redis.prefix);
  mapping.at("timeout").read(redis.timeout, Time{Millis{50}, 60 * kSecond});
  mapping.refuse_unknown();
  out = std::move(redis);
}

void read_store(const Value& value, StoreSettings& out) {
  if (value.is_text()) {
    std::string text;
    if (!value.read_secret(text) || text == "memory") return;
    const auto redis = parse_redis_url(text);
    if (redis)
      out = *redis;
    else
      value.fault("must be memory or a Redis URL: " + redis.error().text);
    return;
  }
  const auto choice = choose(value, {"memory", "redis"});
  if (!choice) return;
  if (choice->kind == 1) return read_redis(choice->value, out);
  Mapping(choice->value).refuse_unknown();
}

void read_runtime(const Value& value, RuntimeSettings& out) {
  const auto choice = choose(value, {"local", "static", "kubernetes"});
  if (!choice) return;
  if (choice->kind == 2)
    return read_kubernetes_runtime(choice->value, out.emplace<KubernetesRuntimeSettings>());
  Mapping mapping(choice->value);
  if (choice->kind == 0) {
    LocalRuntimeSettings local;
    mapping.at("directory").read(local.directory);
    mapping.at("network").read(local.network);
    out = std::move(local);
  } else {
    StaticRuntimeSettings fixed;
    for (const Value& item : mapping.at("endpoints").items()) {
      std::string text;
      if (!item.read(text)) continue;
      const auto endpoint = parse_endpoint(text);
      if (endpoint && endpoint->port() != 0)
        fixed.endpoints.push_back(*endpoint);
      else
        item.fault(endpoint ? quoted(text) + " has no port to connect to" : endpoint.error().text);
    }
    mapping.at("shared").read(fixed.shared);
    out = std::move(fixed);
  }
  mapping.refuse_unknown();
}

void read_provisioner(const Value& value, ProvisionerSettings& out) {
  Mapping mapping(value);
  mapping.at("starts_at_once").read(out.starts_at_once, Count{1, 100'000});
  mapping.at("retry_first").read(out.retry_first, Time{Millis{1}, kDay});
  mapping.at("retry_most").read(out.retry_most, Time{Millis{1}, kDay});
  mapping.at("claim_lease").read(out.claim_lease, Time{kSecond, kDay});
  mapping.refuse_unknown();
}

void read_reaper(const Value& value, ReaperSettings& out) {
  Mapping mapping(value);
  mapping.at("interval").read(out.interval, Time{Millis{10}, 600 * kSecond});
  mapping.at("orphan_grace").read(out.orphan_grace, Time{Millis{0}, kDay});
  mapping.refuse_unknown();
}

void read_limits(const Value& value, LimitSettings& out) {
  const auto size = [](const Value& from, std::uint32_t& to, Range<std::uint64_t> range) {
    std::uint64_t wide = 0;
    if (from.read_size(wide, range)) to = static_cast<std::uint32_t>(wide);
  };
  Mapping mapping(value);
  size(mapping.at("head_bytes"), out.head_bytes, {1024, 1 << 20});
  mapping.at("head_fields").read(out.head_fields, Count{8, 10'000});
  mapping.at("connections").read(out.connections, Count{1, kMany});
  mapping.at("connections_per_address").read(out.connections_per_address, Count{1, kMany});
  mapping.at("requests_per_connection")
      .read(out.requests_per_connection, Count{0, std::numeric_limits<std::uint32_t>::max()});
  mapping.at("holds").read(out.holds, Count{1, kMany});
  mapping.at("holds_per_user").read(out.holds_per_user, Count{1, kMany});
  size(mapping.at("body_rate"), out.body_rate, {0, 1 << 30});
  mapping.refuse_unknown();
}

void read_timeouts(const Value& value, TimeoutSettings& out) {
  const Time some{Millis{10}, kDay};
  Mapping mapping(value);
  mapping.at("head").read(out.head, some);
  mapping.at("client_idle").read(out.client_idle, some);
  mapping.at("body_idle").read(out.body_idle, some);
  mapping.at("event_idle").read(out.event_idle, Time{Millis{10}, 365 * kDay});
  mapping.at("connect").read(out.connect, some);
  mapping.at("tunnel_idle").read(out.tunnel_idle, Time{Millis{10}, 365 * kDay});
  mapping.at("drain_delay").read(out.drain_delay, Time{Millis{0}, 3600 * kSecond});
  mapping.at("drain").read(out.drain, Time{Millis{0}, kDay});
  mapping.at("linger").read(out.linger, Time{Millis{0}, 600 * kSecond});
  mapping.refuse_unknown();
}

void read_outage(const Value& value, OutageSettings& out) {
  Mapping mapping(value);
  mapping.at("serve_known_for").read(out.serve_known_for, Time{Millis{0}, kDay});
  mapping.refuse_unknown();
}

void read_admin(const Value& value, AdminSettings& out) {
  Mapping mapping(value);
  read_endpoint(mapping.at("address"), out.endpoint);
  mapping.at("token").read_secret(out.token);
  mapping.refuse_unknown();
}

void read_log(const Value& value, LogSettings& out) {
  Mapping mapping(value);
  std::size_t word = 0;
  if (mapping.at("format").read_word(word, {"human", "json"})) out.json = word == 1;
  const std::vector<std::string> levels{"trace", "debug", "info", "warn", "error"};
  if (mapping.at("level").read_word(word, levels)) out.level = levels[word];
  mapping.at("access").read(out.access);
  mapping.refuse_unknown();
}

void read_apps(const Value& value, std::vector<AppSettings>& out) {
  Mapping mapping(value);
  for (const auto& [name, entry] : mapping.entries()) {
    if (!is_label(name))
      entry.fault(quoted(name) + " is not a name for an app: a-z, 0-9 and single \"-\" inside, at most 63");
    AppSettings& app = out.emplace_back();
    app.name = name;
    read_app(entry, app);
  }
}

}  // namespace

void read_settings(const Value& root, Settings& out) {
  Mapping mapping(root);
  read_listen(mapping.at("listen"), out.listen);
  mapping.at("takeover").read(out.takeover);
  mapping.at("workers").read(out.workers, Count{0, 256});
  read_domains(mapping.at("domains"), out.domains);
  read_identity(mapping.at("identity"), out.identity);
  read_blocks(mapping.at("trusted_proxies"), out.trusted_proxies);
  read_store(mapping.at("store"), out.store);
  read_runtime(mapping.at("runtime"), out.runtime);
  read_provisioner(mapping.at("provisioner"), out.provisioner);
  read_reaper(mapping.at("reaper"), out.reaper);
  read_limits(mapping.at("limits"), out.limits);
  read_timeouts(mapping.at("timeouts"), out.timeouts);
  read_outage(mapping.at("outage"), out.outage);
  mapping.at("activity_interval").read(out.activity_interval, Time{Millis{20}, 60 * kSecond});
  read_admin(mapping.at("admin"), out.admin);
  read_log(mapping.at("log"), out.log);
  read_apps(mapping.at("apps"), out.apps);
  mapping.refuse_unknown();
}

}  // namespace alcove
