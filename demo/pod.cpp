#include "demo/pod.hpp"

#include "base/text.hpp"
#include "demo/assets.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include <cstdlib>
#include <ctime>

namespace alcove::demo {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string utc(WallTime time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", parts);
}

std::int64_t uptime_s(const Pod& pod) {
  return std::chrono::duration_cast<std::chrono::seconds>(SteadyClock::now() - pod.started).count();
}

std::string who(const Visit& visit) {
  return visit.user.empty() ? "stranger" : visit.user;
}
std::string which(const Pod& pod) {
  return pod.session.empty() ? "(started by hand)" : pod.session;
}
std::string generation(const Pod& pod) {
  return pod.generation.empty() ? "0" : pod.generation;
}

void fill(std::string& text, std::string_view placeholder, std::string_view value) {
  const std::string escaped = html_escape(value);
  for (std::size_t at = text.find(placeholder); at != std::string::npos;
       at = text.find(placeholder, at + escaped.size()))
    text.replace(at, placeholder.size(), escaped);
}

}  // namespace

Pod from_environment(const Endpoint& endpoint) {
  Pod pod;
  pod.session = environment("ALCOVE_SESSION");
  pod.generation = environment("ALCOVE_GENERATION");
  pod.endpoint = endpoint;
  pod.pid = getpid();
  pod.started = SteadyClock::now();
  pod.since = wall_now();
  return pod;
}

std::string greeting(const Pod& pod, const Visit& visit) {
  return fmt::format("Hello {}, this is pod {} generation {} at {}, up {} s, request {}\n", who(visit),
                     which(pod), generation(pod), to_string(pod.endpoint), uptime_s(pod), pod.requests);
}

std::string json(const Pod& pod, const Visit& visit) {
  const nlohmann::ordered_json facts = {{"user", visit.user},
                                        {"session", pod.session},
                                        {"generation", std::strtoull(pod.generation.c_str(), nullptr, 10)},
                                        {"address", to_string(pod.endpoint)},
                                        {"pid", pod.pid},
                                        {"since", utc(pod.since)},
                                        {"uptime_s", uptime_s(pod)},
                                        {"requests", pod.requests},
                                        {"target", visit.target}};
  return facts.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string tick(const Pod& pod) {
  const nlohmann::ordered_json facts = {
      {"now", utc(wall_now())}, {"uptime_s", uptime_s(pod)}, {"requests", pod.requests}};
  return facts.dump();
}

std::string page(const Pod& pod, const Visit& visit) {
  std::string text(kPage);
  fill(text, "{{session}}", which(pod));
  fill(text, "{{generation}}", generation(pod));
  fill(text, "{{address}}", to_string(pod.endpoint));
  fill(text, "{{pid}}", std::to_string(pod.pid));
  fill(text, "{{since}}", utc(pod.since));
  fill(text, "{{uptime}}", std::to_string(uptime_s(pod)));
  fill(text, "{{requests}}", std::to_string(pod.requests));
  // Last: what a visitor can choose is never looked through for placeholders.
  fill(text, "{{target}}", visit.target);
  fill(text, "{{user}}", who(visit));
  return text;
}

}  // namespace alcove::demo
