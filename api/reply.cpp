#include "api/reply.hpp"

#include <boost/beast/http/status.hpp>
#include <nlohmann/json.hpp>

namespace alcove {
namespace {

int status_of(Errc code) {
  switch (code) {
    case Errc::invalid:
      return 400;
    case Errc::not_found:
      return 404;
    case Errc::stale:
    case Errc::busy:
      return 409;
    case Errc::denied:
      return 403;
    case Errc::limit:
      return 429;
    case Errc::timeout:
      return 504;
    case Errc::unavailable:
    case Errc::cancelled:
      return 503;
    case Errc::failed:
    case Errc::internal:
      return 500;
  }
  return 500;
}

}  // namespace

Reply json_reply(int status, const nlohmann::json& body) {
  Reply out;
  out.status = status;
  out.body = body.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  return out;
}

Reply problem(int status, std::string_view detail) {
  const auto title = boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
  Reply out = json_reply(status, {{"title", std::string(title)}, {"status", status}, {"detail", detail}});
  out.type = "application/problem+json";
  return out;
}

Reply problem(const Error& error) {
  return problem(status_of(error.code), error.text);
}

}  // namespace alcove
