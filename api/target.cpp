#include "api/target.hpp"

#include "base/text.hpp"
#include "config/units.hpp"

#include <algorithm>

namespace alcove {

Result<Target> parse_target(std::string_view target) {
  Target out;
  const auto mark = target.find('?');
  if (mark != std::string_view::npos) out.query = target.substr(mark + 1);
  const std::string_view path = target.substr(0, mark);
  if (path == "/healthz") out.kind = Target::Kind::health;
  if (path == "/readyz") out.kind = Target::Kind::ready;
  if (path == "/metrics") out.kind = Target::Kind::metrics;
  constexpr std::string_view kSessions = "/api/v1/sessions";
  if (!path.starts_with(kSessions)) return out;
  std::string_view rest = path.substr(kSessions.size());
  if (rest.empty() || rest == "/") {
    out.kind = Target::Kind::sessions;
    return out;
  }
  if (!rest.starts_with('/')) return out;
  rest.remove_prefix(1);
  constexpr std::string_view kLogs = "/logs";
  out.kind = Target::Kind::session;
  if (rest.ends_with(kLogs) && std::count(rest.begin(), rest.end(), '/') == 2) {
    out.kind = Target::Kind::logs;
    rest.remove_suffix(kLogs.size());
  }
  std::string text;
  if (!percent_decode(rest, text)) return Error{Errc::invalid, "the path has a bad % escape"};
  auto key = SessionKey::parse(text);
  if (!key) return key.error();
  out.key = std::move(*key);
  return out;
}

std::string query_value(std::string_view query, std::string_view name) {
  std::string out;
  if (!form_value(query, name, out)) out.clear();
  return out;
}

bool query_flag(std::string_view query, std::string_view name) {
  std::string value;
  if (!form_value(query, name, value)) return false;
  return value.empty() || value == "1" || value == "true";
}

Result<Millis> query_duration(std::string_view query, std::string_view name, Millis most) {
  const std::string text = query_value(query, name);
  if (text.empty()) return Millis{0};
  const auto duration = parse_duration(text);
  if (!duration)
    return Error{Errc::invalid, std::string(name) + ": \"" + printable(text, 40) + "\" is not " +
                                    std::string(kDurationForm)};
  return std::min(*duration, most);
}

}  // namespace alcove
