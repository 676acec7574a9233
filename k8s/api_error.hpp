// ApiError: why a call to the Kubernetes API failed: the API's own reason and message where it answered, ours
// where it did not. Made by: api_client, watch. Pure, any thread.
// Source: Kubernetes API conventions, "Response Status Kind".
#pragma once

#include "base/result.hpp"
#include "base/time.hpp"
#include "k8s/object.hpp"

#include <boost/system/result.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace alcove::k8s {

enum class ApiReason : std::uint8_t {
  unreachable,        // no connection, or it broke off
  timeout,            // it did not answer in time
  cancelled,          // given up here
  not_understood,     // an answer that is not the API's
  bad_request,        // 400
  unauthorized,       // 401: it does not know who we are
  forbidden,          // 403: it does, and we may not; also a quota that is used up, or a refusal at admission
  not_found,          // 404
  already_exists,     // 409: the name is taken
  conflict,           // 409: not the version, or not the UID, that was meant
  gone,               // 410: a resource version or a page that is too old
  invalid,            // 422: the object makes no sense
  too_many_requests,  // 429
  server,             // 500 and above
  other,
};
std::string_view name_of(ApiReason reason);

struct ApiError {
  ApiError() = default;
  // A constructor on purpose: GCC 12 destroys an aggregate that is made within a co_await expression twice.
  ApiError(ApiReason its_reason, std::string its_message)
      : reason(its_reason), message(std::move(its_message)) {}

  ApiReason reason = ApiReason::other;
  int status = 0;                     // HTTP's; 0: there was no answer
  std::string word;                   // the API's own reason: "AlreadyExists"; may be empty
  std::string message;                // for people
  std::optional<Millis> retry_after;  // how long the API asked us to wait
};

template <class T>
using ApiResult = boost::system::result<T, ApiError>;

// Found by boost::system::result when .value() is asked of an error.
[[noreturn]] void throw_exception_from_error(const ApiError& error, const boost::source_location& where);

// From an answer that is no success. `body` is a Status object, or whatever a proxy in between wrote.
ApiError error_from_answer(int status, const std::string& body, std::optional<Millis> retry_after);
// From a Status object, as a watch sends it in an ERROR event.
ApiError error_from_status(const Json& status);

// It may go better soon: nobody there, too many requests, a server in trouble.
bool passing(const ApiError& error);
// For the Runtime interface.
Error to_error(const ApiError& error);

}  // namespace alcove::k8s
