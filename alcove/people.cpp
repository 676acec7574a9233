#include "alcove/people.hpp"

#include "alcove/table.hpp"
#include "api/client.hpp"
#include "base/session_key.hpp"
#include "base/text.hpp"
#include "config/files.hpp"
#include "config/units.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>

namespace alcove {
namespace {

constexpr Millis kAnswer{30'000};
constexpr Millis kWait{300'000};  // until ready, or gone; the server has its own, shorter deadlines
const std::string kSessions = "/api/v1/sessions";

int failed(std::string_view text) {
  fmt::print(stderr, "alcove: {}\n", text);
  return 1;
}

// The detail of a problem+json, or what else the server said.
std::string reason_of(const AdminClient::Answer& answer) {
  const nlohmann::json json = nlohmann::json::parse(answer.body, nullptr, false);
  if (json.is_object() && json.contains("detail") && json["detail"].is_string())
    return json["detail"].get<std::string>();
  return "the admin listener answered " + std::to_string(answer.status);
}

Result<nlohmann::json> ask(const AdminClient& client, const char* method, const std::string& target,
                           const std::string& body, Millis timeout) {
  const auto answer = client.ask(method, target, body, timeout);
  if (!answer) return answer.error();
  if (answer->status >= 300) return Error{Errc::failed, reason_of(*answer)};
  nlohmann::json json = nlohmann::json::parse(answer->body, nullptr, false);
  if (json.is_discarded()) return Error{Errc::failed, "what answers there is no alcove"};
  // Named, since a JSON value converts to about everything, an Error too.
  return Result<nlohmann::json>(boost::system::in_place_value, std::move(json));
}

std::string text_of(const nlohmann::json& json, const char* key) {
  const auto at = json.find(key);
  return at == json.end() || !at->is_string() ? std::string{} : printable(at->get<std::string>(), 400);
}

std::int64_t number_of(const nlohmann::json& json, const char* key) {
  const auto at = json.find(key);
  return at == json.end() || !at->is_number() ? 0 : at->get<std::int64_t>();
}

std::string pod_of(const nlohmann::json& session) {
  const auto pod = session.find("pod");
  return pod == session.end() || !pod->is_object() ? std::string{} : text_of(*pod, "endpoint");
}

std::string since(const nlohmann::json& session, const char* key) {
  const std::int64_t then = number_of(session, key);
  return then == 0 ? "-" : format_rough(Millis{std::max<std::int64_t>(number_of(session, "now") - then, 0)});
}

std::string goes_in(const nlohmann::json& session) {
  if (session.contains("goes_in_ms") && session["goes_in_ms"].is_number())
    return format_rough(Millis{number_of(session, "goes_in_ms")});
  const std::string state = text_of(session, "state");
  return state == "ready" ? "never" : "-";
}

void print_table(const nlohmann::json& sessions) {
  Table table({"SESSION", "STATE", "GEN", "POD", "AGE", "LAST ACTIVITY", "GOES IN"});
  for (const nlohmann::json& session : sessions) {
    std::string last = since(session, "last_activity");
    if (last != "-")
      last +=
          " ago" + (text_of(session, "activity").empty() ? "" : " (" + text_of(session, "activity") + ")");
    const std::string pod = pod_of(session);
    const std::string reason = text_of(session, "reason");
    table.add({text_of(session, "key"), text_of(session, "state"),
               std::to_string(number_of(session, "generation")), pod.empty() ? "-" : pod,
               since(session, "created"), last, goes_in(session)});
    if (text_of(session, "state") == "failed" && !reason.empty()) table.note(reason);
  }
  fmt::print("{}", table.text());
}

void print_session(const nlohmann::json& session) {
  const auto row = [](std::string_view name, const std::string& value) {
    if (!value.empty()) fmt::print("  {:<14}{}\n", name, value);
  };
  const nlohmann::json policy = session.value("policy", nlohmann::json::object());
  const auto limit = [&](const char* key) {
    const std::int64_t ms = number_of(policy, key);
    return ms == 0 ? std::string("none") : format_duration(Millis{ms});
  };
  fmt::print("{}\n", text_of(session, "key"));
  row("state", text_of(session, "state"));
  row("why", text_of(session, "why"));
  row("app", text_of(session, "app"));
  row("user", text_of(session, "user"));
  row("generation", std::to_string(number_of(session, "generation")));
  row("pod", pod_of(session));
  if (session.contains("pod") && session["pod"].is_object()) row("pod uid", text_of(session["pod"], "uid"));
  row("asked for", since(session, "created") == "-" ? "" : since(session, "created") + " ago");
  row("ready", since(session, "ready_since") == "-" ? "" : "for " + since(session, "ready_since"));
  row("last activity", since(session, "last_activity") == "-"
                           ? ""
                           : since(session, "last_activity") + " ago (" + text_of(session, "activity") + ")");
  row("goes in", goes_in(session) == "-" ? "" : goes_in(session));
  row("idle time-out", limit("idle_timeout_ms"));
  row("lifetime", limit("max_lifetime_ms"));
  if (session.value("pinned", false)) row("pinned", "yes");
}

void print_json(const nlohmann::json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

int list(const CommandLine& line, const AdminClient& client) {
  const std::string scope = line.name.empty() ? "" : "?scope=" + percent_encode(line.name);
  const auto answer = ask(client, "GET", kSessions + scope, "", kAnswer);
  if (!answer) return failed(answer.error().text);
  const nlohmann::json sessions = answer->value("sessions", nlohmann::json::array());
  if (line.json)
    print_json(sessions);
  else if (sessions.empty())
    fmt::print("No session has a pod. `alcove start APP USER` starts one.\n");
  else
    print_table(sessions);
  return 0;
}

int show(const CommandLine& line, const AdminClient& client, const SessionKey& key) {
  const auto session = ask(client, "GET", kSessions + "/" + key.text(), "", kAnswer);
  if (!session) return failed(session.error().text);
  if (line.json)
    print_json(*session);
  else
    print_session(*session);
  return 0;
}

int start(const CommandLine& line, const AdminClient& client) {
  std::string text = line.name;
  std::string body;
  if (!line.user.empty()) {
    const auto name = session_name(line.user);
    if (!name) return failed(name.error().text);
    text += "/" + *name;
    body = nlohmann::json{{"user", line.user}}.dump();
  }
  const auto key = SessionKey::parse(text);
  if (!key) return failed(key.error().text);
  const auto session = ask(client, "POST", kSessions + "/" + key->text() + (line.no_wait ? "" : "?wait=5m"),
                           body, kAnswer + kWait);
  if (!session) return failed(session.error().text);
  const std::string state = text_of(*session, "state");
  if (line.json)
    print_json(*session);
  else if (state == "ready")
    fmt::print("{} is ready at {} (generation {})\n", key->text(), pod_of(*session),
               number_of(*session, "generation"));
  else if (line.no_wait && state != "failed")
    fmt::print("{} is {}: {}\n", key->text(), state, text_of(*session, "why"));
  const bool good = state == "ready" || (line.no_wait && state != "failed");
  if (!good) return failed(key->text() + " is not ready: " + text_of(*session, "why"));
  return 0;
}

int stop(const CommandLine& line, const AdminClient& client, const SessionKey& key) {
  const auto session = ask(client, "DELETE", kSessions + "/" + key.text() + (line.no_wait ? "" : "?wait=5m"),
                           "", kAnswer + kWait);
  if (!session) return failed(session.error().text);
  const std::string state = text_of(*session, "state");
  if (line.json)
    print_json(*session);
  else if (state == "absent")
    fmt::print("{} has stopped\n", key.text());
  else
    fmt::print("{} is {}: {}\n", key.text(), state, text_of(*session, "why"));
  const bool still_there = state == "draining" || state == "stopping";
  return !line.no_wait && still_there ? 1 : 0;
}

// pin, unpin, busy
int keep(const CommandLine& line, const AdminClient& client, const SessionKey& key) {
  nlohmann::json body;
  if (line.command == Command::busy)
    body["busy_for"] = line.time;
  else
    body["pinned"] = line.command == Command::pin;
  const auto session = ask(client, "PATCH", kSessions + "/" + key.text(), body.dump(), kAnswer);
  if (!session) return failed(session.error().text);
  if (line.json)
    print_json(*session);
  else
    fmt::print("{}: {}\n", key.text(), text_of(*session, "why"));
  return 0;
}

void print_lines_as_json(std::string& rest, std::string_view text) {
  rest.append(text);
  for (auto end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
    const nlohmann::json row{{"line", rest.substr(0, end)}};
    fmt::print("{}\n", row.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    rest.erase(0, end + 1);
  }
}

int logs(const CommandLine& line, const AdminClient& client, const SessionKey& key) {
  std::string rest;
  const auto sink = [&](std::string_view text) {
    if (line.json)
      print_lines_as_json(rest, text);
    else
      std::fwrite(text.data(), 1, text.size(), stdout);
    return std::fflush(stdout) == 0;
  };
  const std::string target = kSessions + "/" + key.text() + "/logs" + (line.follow ? "?follow=1&tail=1" : "");
  const auto answer = client.follow(target, sink);
  if (!rest.empty()) print_lines_as_json(rest, "\n");
  if (!answer) return failed(answer.error().text);
  return answer->status == 200 ? 0 : failed(reason_of(*answer));
}

}  // namespace

int run_for_people(const CommandLine& line) {
  std::string token = line.token;
  if (token.starts_with("file:")) {
    const auto content = read_secret_file(token.substr(5));
    if (!content) return failed("--token: " + content.error().text);
    token = *content;
  }
  const AdminClient client(line.admin, token);
  if (line.command == Command::ls) return list(line, client);
  if (line.command == Command::start) return start(line, client);
  const auto key = SessionKey::parse(line.name);
  if (!key) return failed(key.error().text);
  if (line.command == Command::show) return show(line, client, *key);
  if (line.command == Command::stop) return stop(line, client, *key);
  if (line.command != Command::logs) return keep(line, client, *key);
  return logs(line, client, *key);
}

}  // namespace alcove
