#include "k8s/api_error.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace alcove::k8s {
namespace {

constexpr std::size_t kMostForeignText = 200;  // of an answer that is not the API's

// Admission that cannot look something up because etcd is away "forbids" the object, in etcd's words. That
// passes.
bool tells_of_the_store(std::string_view message) {
  return message.find("rpc error: code = ") != std::string_view::npos ||
         message.find("etcdserver: ") != std::string_view::npos;
}

ApiReason reason_from(int status, std::string_view word, std::string_view message) {
  switch (status) {
    case 400:
      return ApiReason::bad_request;
    case 401:
      return ApiReason::unauthorized;
    case 403:
      return tells_of_the_store(message) ? ApiReason::server : ApiReason::forbidden;
    case 404:
      return ApiReason::not_found;
    case 409:
      return word == "AlreadyExists" ? ApiReason::already_exists : ApiReason::conflict;
    case 410:
      return ApiReason::gone;
    case 422:
      return ApiReason::invalid;
    case 429:
      return ApiReason::too_many_requests;
    default:
      return status >= 500 ? ApiReason::server : ApiReason::other;
  }
}

}  // namespace

std::string_view name_of(ApiReason reason) {
  switch (reason) {
    case ApiReason::unreachable:
      return "unreachable";
    case ApiReason::timeout:
      return "timeout";
    case ApiReason::cancelled:
      return "cancelled";
    case ApiReason::not_understood:
      return "not_understood";
    case ApiReason::bad_request:
      return "bad_request";
    case ApiReason::unauthorized:
      return "unauthorized";
    case ApiReason::forbidden:
      return "forbidden";
    case ApiReason::not_found:
      return "not_found";
    case ApiReason::already_exists:
      return "already_exists";
    case ApiReason::conflict:
      return "conflict";
    case ApiReason::gone:
      return "gone";
    case ApiReason::invalid:
      return "invalid";
    case ApiReason::too_many_requests:
      return "too_many_requests";
    case ApiReason::server:
      return "server";
    case ApiReason::other:
      return "other";
  }
  return "other";
}

void throw_exception_from_error(const ApiError& error, const boost::source_location&) {
  throw std::runtime_error(error.message);
}

ApiError error_from_status(const Json& status) {
  ApiError error;
  error.status = static_cast<int>(number_at(status, {"code"}));
  error.word = text_at(status, {"reason"});
  error.message = text_at(status, {"message"});
  error.reason = reason_from(error.status, error.word, error.message);
  // A watch that begins too far back: some versions send no code.
  if (error.word == "Expired" || error.word == "Gone") error.reason = ApiReason::gone;
  const std::int64_t seconds = number_at(status, {"details", "retryAfterSeconds"});
  if (seconds > 0) error.retry_after = Millis{seconds * 1000};
  if (error.message.empty())
    error.message = fmt::format("the Kubernetes API answered {} {}", error.status, error.word);
  return error;
}

ApiError error_from_answer(int status, const std::string& body, std::optional<Millis> retry_after) {
  const Json json = Json::parse(body, nullptr, false);
  ApiError error;
  if (text_at(json, {"kind"}) == "Status") {
    error = error_from_status(json);
  } else {
    const std::string_view text = trim(std::string_view(body).substr(0, body.find('\n')));
    error.message = fmt::format("the Kubernetes API answered {}{}{}", status, text.empty() ? "" : ": ",
                                printable(text, kMostForeignText));
  }
  // The head says it, whatever the body says.
  error.status = status;
  error.reason = reason_from(status, error.word, error.message);
  if (retry_after) error.retry_after = retry_after;
  return error;
}

bool passing(const ApiError& error) {
  switch (error.reason) {
    case ApiReason::unreachable:
    case ApiReason::timeout:
    case ApiReason::too_many_requests:
    case ApiReason::server:
      return true;
    default:
      return false;
  }
}

Error to_error(const ApiError& error) {
  switch (error.reason) {
    case ApiReason::unreachable:
    case ApiReason::not_understood:
    case ApiReason::too_many_requests:
    case ApiReason::server:
      return {Errc::unavailable, error.message};
    case ApiReason::timeout:
      return {Errc::timeout, error.message};
    case ApiReason::cancelled:
      return {Errc::cancelled, error.message};
    case ApiReason::unauthorized:
    case ApiReason::forbidden:
      return {Errc::denied, error.message};
    case ApiReason::not_found:
      return {Errc::not_found, error.message};
    case ApiReason::conflict:
    case ApiReason::gone:
      return {Errc::stale, error.message};
    case ApiReason::bad_request:
    case ApiReason::already_exists:
    case ApiReason::invalid:
    case ApiReason::other:
      break;
  }
  return {Errc::invalid, error.message};
}

}  // namespace alcove::k8s
