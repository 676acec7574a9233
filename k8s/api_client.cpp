#include "k8s/api_client.hpp"

#include "base/backoff.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <string_view>

namespace alcove::k8s {
namespace {

constexpr Millis kRetryFirst{100};
constexpr Millis kRetryMost{5'000};
constexpr Millis kWatchSlack{30'000};  // after the server should have ended a watch

std::minstd_rand& jitter() {
  static thread_local std::minstd_rand random{std::random_device{}()};
  return random;
}

ApiError closed_error() {
  return {ApiReason::cancelled, "the client of the Kubernetes API is closed"};
}

std::int64_t whole_seconds(Millis time) {
  return std::max<std::int64_t>(1, (time.count() + 999) / 1000);
}

void add_parameter(std::string& target, std::string_view name, std::string_view value) {
  target += target.find('?') == std::string::npos ? '?' : '&';
  target.append(name).append(1, '=').append(percent_encode(value));
}

void add_selection(std::string& target, const Selection& selection) {
  if (!selection.labels.empty()) add_parameter(target, "labelSelector", selection.labels);
  if (!selection.fields.empty()) add_parameter(target, "fieldSelector", selection.fields);
}

std::string_view content_type(PatchKind kind) {
  return kind == PatchKind::merge ? "Content-Type: application/merge-patch+json"
                                  : "Content-Type: application/strategic-merge-patch+json";
}

struct Server {
  std::string url;
  HttpWay way;
};

// With a tls-server-name the URL names that, and the real address is dialled.
Server server_of(const ClusterAccess& access) {
  Server out{access.server, {}};
  out.way.tls = {access.ca, access.certificate, access.key, access.verify};
  out.way.proxy = access.proxy;
  if (access.server_name.empty()) return out;
  const std::size_t host = access.server.find("://") + 3;
  const std::size_t path = std::min(access.server.find('/', host), access.server.size());
  std::string address = access.server.substr(host, path - host);
  const std::size_t colon = address.rfind(':');
  const bool has_port = colon != std::string::npos && address.find(']', colon) == std::string::npos;
  if (!has_port) address += ":443";
  out.way.connect_to = address;
  out.url = fmt::format("{}{}:{}{}", access.server.substr(0, host), access.server_name,
                        address.substr(address.rfind(':') + 1), access.server.substr(path));
  return out;
}

}  // namespace

std::string collection(std::string_view kind, std::string_view in_namespace) {
  return fmt::format("/api/v1/namespaces/{}/{}", percent_encode(in_namespace), kind);
}

std::string item(std::string_view collection, std::string_view name) {
  return fmt::format("{}/{}", collection, percent_encode(name));
}

ApiError error_from_transport(const Error& error) {
  switch (error.code) {
    case Errc::cancelled:
      return {ApiReason::cancelled, error.text};
    case Errc::timeout:
      return {ApiReason::timeout, "the Kubernetes API does not answer: " + error.text};
    case Errc::limit:
      return {ApiReason::not_understood, "the Kubernetes API: " + error.text};
    default:
      return {ApiReason::unreachable, "the Kubernetes API cannot be reached: " + error.text};
  }
}

ApiClient::ApiClient(Executor executor, const ClusterAccess& access, std::shared_ptr<ApiMetrics> metrics)
    : executor_(executor),
      server_(server_of(access).url),
      way_(server_of(access).way),
      token_(access.token, access.token_file),
      metrics_(std::move(metrics)),
      pauses_(executor),
      http_(executor, way_) {}

ApiClient::~ApiClient() = default;

void ApiClient::close() {
  closed_ = true;
  pauses_.end();
  for (const std::weak_ptr<PodExec>& weak : execs_)
    if (const auto exec = weak.lock()) exec->cancel();
  http_.close();
}

HttpOrder ApiClient::order(std::string method, std::string target) const {
  HttpOrder out;
  out.method = std::move(method);
  out.url = server_ + target;
  out.headers = {"Accept: application/json"};
  return out;
}

void ApiClient::authorize(HttpOrder& order) {
  if (const std::string& token = token_.current(); !token.empty())
    order.headers.push_back("Authorization: Bearer " + token);
}

Awaitable<ApiResult<HttpAnswer>> ApiClient::try_once(Verb verb, HttpOrder order) {
  authorize(order);
  const SteadyTime begun = SteadyClock::now();
  const std::shared_ptr<HttpExchange> exchange = http_.begin(std::move(order));
  Result<HttpAnswer> answer = co_await HttpExchange::whole(exchange);
  const auto took = std::chrono::duration_cast<Millis>(SteadyClock::now() - begun);
  metrics_->seconds[static_cast<std::size_t>(verb)].observe(took);
  std::optional<ApiError> error;
  if (!answer) {
    error = error_from_transport(answer.error());
  } else if (answer->status < 200 || answer->status > 299) {
    error = error_from_answer(answer->status, answer->body, answer->retry_after);
  }
  metrics_->count(verb, error ? &*error : nullptr);
  if (error) co_return *error;
  co_return std::move(*answer);
}

Awaitable<ApiResult<HttpAnswer>> ApiClient::call(Verb verb, HttpOrder order, CallOptions options) {
  const SteadyTime until = SteadyClock::now() + options.patience;
  Backoff backoff(kRetryFirst, kRetryMost);
  order.timeout = options.each;
  bool read_token_again = false;
  for (;;) {
    if (closed_) co_return closed_error();
    ApiResult<HttpAnswer> answer = co_await try_once(verb, order);
    if (answer) co_return answer;
    // The token may have been replaced between our reading it and its being checked. Once only.
    if (answer.error().reason == ApiReason::unauthorized && !std::exchange(read_token_again, true) &&
        token_.read_again())
      continue;
    if (!passing(answer.error())) co_return answer;
    Millis pause = backoff.next(jitter());
    // Those who were told to wait equally long should not come back together either.
    if (const std::optional<Millis> asked = answer.error().retry_after) pause += *asked;
    if (SteadyClock::now() + pause >= until) co_return answer;
    co_await pauses_.pause(pause);
  }
}

Awaitable<ApiResult<Object>> ApiClient::call_for_object(Verb verb, HttpOrder order, CallOptions options) {
  const ApiResult<HttpAnswer> answer = co_await call(verb, std::move(order), options);
  if (!answer) co_return answer.error();
  Object object{Json::parse(answer->body, nullptr, false)};
  if (!object.json.is_object())
    co_return ApiError{ApiReason::not_understood, "the Kubernetes API sent an answer that is no JSON object"};
  co_return object;
}

Awaitable<ApiResult<Object>> ApiClient::get(std::string path, CallOptions options) {
  HttpOrder get = order("GET", std::move(path));
  ApiResult<Object> object = co_await call_for_object(Verb::get, std::move(get), options);
  co_return object;
}

Awaitable<ApiResult<Object>> ApiClient::create(std::string collection, Json object, CallOptions options) {
  HttpOrder post = order("POST", std::move(collection));
  post.headers.emplace_back("Content-Type: application/json");
  post.body = object.dump();
  ApiResult<Object> created = co_await call_for_object(Verb::create, std::move(post), options);
  co_return created;
}

Awaitable<ApiResult<Object>> ApiClient::patch(std::string path, PatchKind kind, Json patch,
                                              CallOptions options) {
  HttpOrder change = order("PATCH", std::move(path));
  change.headers.emplace_back(content_type(kind));
  change.body = patch.dump();
  ApiResult<Object> patched = co_await call_for_object(Verb::patch, std::move(change), options);
  co_return patched;
}

Awaitable<ApiResult<Object>> ApiClient::remove(std::string path, RemoveOptions what, CallOptions options) {
  Json body{{"apiVersion", "v1"}, {"kind", "DeleteOptions"}};
  if (!what.uid.empty()) body["preconditions"]["uid"] = what.uid;
  if (what.by_force)
    body["gracePeriodSeconds"] = 0;
  else if (what.grace)
    body["gracePeriodSeconds"] = whole_seconds(*what.grace);
  HttpOrder removal = order("DELETE", std::move(path));
  removal.headers.emplace_back("Content-Type: application/json");
  removal.body = body.dump();
  ApiResult<Object> removed = co_await call_for_object(Verb::remove, std::move(removal), options);
  co_return removed;
}

Awaitable<ApiResult<ObjectList>> ApiClient::list(std::string collection, Selection selection,
                                                 std::uint32_t page, CallOptions options) {
  ObjectList all;
  do {
    std::string target = collection;
    add_selection(target, selection);
    if (page > 0) add_parameter(target, "limit", std::to_string(page));
    if (!all.continue_from.empty()) add_parameter(target, "continue", all.continue_from);
    HttpOrder ask = order("GET", std::move(target));
    ApiResult<Object> answer = co_await call_for_object(Verb::list, std::move(ask), options);
    if (!answer) co_return answer.error();
    const auto items = answer->json.find("items");
    if (items == answer->json.end() || !(items->is_array() || items->is_null()))
      co_return ApiError{ApiReason::not_understood, "the Kubernetes API sent a list without items"};
    for (Json& object : *items) all.items.push_back({std::move(object)});
    all.version = text_at(answer->json, {"metadata", "resourceVersion"});
    all.continue_from = text_at(answer->json, {"metadata", "continue"});
  } while (!all.continue_from.empty());
  co_return all;
}

// The status decides, before anybody reads on.
Awaitable<ApiResult<std::shared_ptr<HttpExchange>>> ApiClient::open_stream(Verb verb, HttpOrder order) {
  order.stream = true;
  for (bool again = false;; again = true) {
    if (closed_) co_return closed_error();
    HttpOrder authorized = order;
    authorize(authorized);
    const std::shared_ptr<HttpExchange> exchange = http_.begin(std::move(authorized));
    const Result<int> status = co_await HttpExchange::head(exchange);
    if (status && *status >= 200 && *status <= 299) {
      metrics_->count(verb, nullptr);
      co_return exchange;
    }
    ApiError error;
    if (status) {
      const Result<std::string> body = co_await HttpExchange::read(exchange);
      exchange->cancel();
      error = error_from_answer(*status, body ? *body : std::string{}, std::nullopt);
    } else {
      error = error_from_transport(status.error());
    }
    metrics_->count(verb, &error);
    if (error.reason != ApiReason::unauthorized || again || !token_.read_again()) co_return error;
  }
}

Awaitable<ApiResult<std::shared_ptr<Watch>>> ApiClient::watch(std::string collection, Selection selection,
                                                              std::string version, Millis most) {
  std::string target = std::move(collection);
  add_selection(target, selection);
  add_parameter(target, "watch", "1");
  add_parameter(target, "allowWatchBookmarks", "true");
  add_parameter(target, "resourceVersion", version);
  add_parameter(target, "timeoutSeconds", std::to_string(whole_seconds(most)));
  HttpOrder ask = order("GET", std::move(target));
  ask.timeout = most + kWatchSlack;
  const auto stream = co_await open_stream(Verb::watch, std::move(ask));
  if (!stream) co_return stream.error();
  co_return std::make_shared<Watch>(*stream, metrics_);
}

Awaitable<ApiResult<std::string>> ApiClient::log(std::string pod_path, LogQuery query, CallOptions options) {
  std::string target = std::move(pod_path) + "/log";
  add_parameter(target, "container", query.container);
  if (query.previous) add_parameter(target, "previous", "true");
  if (query.tail_lines > 0) add_parameter(target, "tailLines", std::to_string(query.tail_lines));
  if (query.limit_bytes > 0) add_parameter(target, "limitBytes", std::to_string(query.limit_bytes));
  HttpOrder ask = order("GET", std::move(target));
  ask.headers = {"Accept: */*"};
  ApiResult<HttpAnswer> answer = co_await call(Verb::log, std::move(ask), options);
  if (!answer) co_return answer.error();
  co_return std::move(answer->body);
}

Awaitable<ApiResult<std::shared_ptr<HttpExchange>>> ApiClient::follow_log(std::string pod_path,
                                                                          std::string container) {
  std::string target = std::move(pod_path) + "/log";
  add_parameter(target, "container", container);
  add_parameter(target, "follow", "true");
  HttpOrder ask = order("GET", std::move(target));
  ask.headers = {"Accept: */*"};
  ApiResult<std::shared_ptr<HttpExchange>> stream = co_await open_stream(Verb::log, std::move(ask));
  co_return stream;
}

Awaitable<ApiResult<std::shared_ptr<PodExec>>> ApiClient::exec(std::string pod_path, ExecQuery query) {
  for (bool again = false;; again = true) {
    if (closed_) co_return closed_error();
    HttpOrder ask = order("GET", exec_target(pod_path, query));
    // It goes through to the node, and kubelet has nothing that would be JSON: it would answer 406.
    ask.headers = {"Accept: */*"};
    ask.timeout = query.opens;
    authorize(ask);
    Result<std::shared_ptr<WebSocket>> socket =
        make_web_socket(executor_, way_, std::move(ask), kExecProtocols);
    if (!socket) co_return error_from_transport(socket.error());
    const auto exec = std::make_shared<PodExec>(std::move(*socket), query.terminal);
    std::erase_if(execs_, [](const std::weak_ptr<PodExec>& one) { return one.expired(); });
    execs_.push_back(exec);
    const SteadyTime begun = SteadyClock::now();
    const ApiResult<void> opened = co_await PodExec::open(exec);
    const auto took = std::chrono::duration_cast<Millis>(SteadyClock::now() - begun);
    metrics_->seconds[static_cast<std::size_t>(Verb::exec)].observe(took);
    if (opened) {
      metrics_->count(Verb::exec, nullptr);
      co_return exec;
    }
    const ApiError error = opened.error();
    metrics_->count(Verb::exec, &error);
    if (error.reason != ApiReason::unauthorized || again || !token_.read_again()) co_return error;
  }
}

}  // namespace alcove::k8s
