#include "base/session_key.hpp"
#include "config/schema.hpp"

namespace alcove {
namespace {

using Time = Range<Millis>;
constexpr Millis kSecond{1'000};
constexpr Millis kDay{86'400'000};

bool is_env_name(std::string_view name) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
  return !name.empty() && name.find_first_not_of(kLetters) == std::string_view::npos &&
         (name[0] < '0' || name[0] > '9');
}

// Stays inside the working directory.
bool is_inner_path(std::string_view path) {
  if (path.empty() || path.front() == '/' || path.back() == '/' || path.find('\0') != std::string_view::npos)
    return false;
  while (true) {
    const auto slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

void read_command(const Value& value, std::vector<std::string>& out) {
  if (value.is_text()) {
    value.fault("must be a list, since no shell reads it, such as [python3, -m, http.server, \"{port}\"]");
    return;
  }
  for (const Value& item : value.items()) item.read(out.emplace_back());
  if (value.present() && (out.empty() || out.front().empty()))
    value.reading().fault_at(value.key(), "needs a program to run");
}

void read_named(const Value& value, std::vector<std::pair<std::string, std::string>>& out,
                bool (*good)(std::string_view), const char* wanted) {
  Mapping mapping(value);
  for (const auto& [name, entry] : mapping.entries()) {
    if (!good(name)) entry.fault(quoted(name) + " is not " + wanted);
    auto& [out_name, text] = out.emplace_back();
    out_name = name;
    entry.read(text);
  }
}

void read_paths(const Value& value, std::vector<std::string>& out) {
  for (const Value& item : value.items(true)) {
    std::string path;
    if (!item.read(path)) continue;
    if (path.starts_with('/'))
      out.push_back(std::move(path));
    else
      item.fault(quoted(path) + " is not a path: it begins with /");
  }
}

void read_wake(const Value& value, WakeSettings& out) {
  Mapping mapping(value);
  mapping.at("background").read(out.background);
  read_paths(mapping.at("paths"), out.paths);
  const Value bots = mapping.at("bots");
  if (bots.present()) out.bots.clear();
  for (const Value& item : bots.items(true)) {
    std::string word;
    if (!item.read(word)) continue;
    if (word.empty())
      item.fault("an empty word is in every User-Agent");
    else
      out.bots.push_back(std::move(word));
  }
  mapping.refuse_unknown();
}

void read_identity_jwt(const Value& value, IdentityJwtSettings& out) {
  Mapping mapping(value);
  mapping.at("header").read(out.header);
  mapping.at("secret").read_secret(out.secret);
  mapping.at("ttl").read(out.ttl, Time{10 * kSecond, kDay});
  mapping.refuse_unknown();
}

}  // namespace

void read_app(const Value& value, AppSettings& out) {
  const Time some{Millis{10}, kDay};
  const Time long_time{Millis{0}, 3650 * kDay};
  Mapping mapping(value);
  mapping.at("path").read(out.path);
  mapping.at("strip_path").read(out.strip_path);
  mapping.at("host_header").read(out.host_header);
  mapping.at("identity_header").read(out.identity_header);
  read_identity_jwt(mapping.at("identity_jwt"), out.identity_jwt);

  read_command(mapping.at("command"), out.command);
  read_named(mapping.at("env"), out.env, is_env_name, "a name for a variable: letters, digits and _");
  read_named(mapping.at("files"), out.files, is_inner_path,
             "a path inside the working directory, such as conf/app.conf");
  mapping.at("port").read(out.port, Range<std::uint16_t>{1, 65535});
  mapping.at("ready_path").read(out.ready_path);
  mapping.at("start_timeout").read(out.start_timeout, Time{Millis{10}, kDay});
  mapping.at("log_limit").read_size(out.log_limit, {4096, 1ULL << 30});

  read_kubernetes_app(mapping.at("kubernetes"), out.kubernetes);

  mapping.at("idle_timeout").read(out.idle_timeout, long_time);
  mapping.at("max_lifetime").read(out.max_lifetime, long_time);
  mapping.at("drain_grace").read(out.drain_grace, Time{Millis{0}, kDay});
  mapping.at("stop_grace").read(out.stop_grace, Time{Millis{0}, kDay});
  std::size_t word = 0;
  if (mapping.at("websocket").read_word(word, {"data", "bytes", "open"}))
    out.websocket = static_cast<WebSocketActivity>(word);
  read_paths(mapping.at("quiet_paths"), out.quiet_paths);
  mapping.at("busy_limit").read(out.busy_limit, long_time);
  read_wake(mapping.at("wake"), out.wake);

  mapping.at("hold_timeout").read(out.hold_timeout, some);
  mapping.at("waiting_page_after").read(out.waiting_page_after, Time{Millis{0}, kDay});
  mapping.at("body_limit").read_size(out.body_limit, {0, 1ULL << 50});
  mapping.at("response_timeout").read(out.response_timeout, some);
  mapping.at("pod_idle").read(out.pod_idle, Time{Millis{0}, 3600 * kSecond});
  mapping.refuse_unknown();
}

}  // namespace alcove
