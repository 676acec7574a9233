#include "base/failure.hpp"

namespace alcove {

std::string_view name_of(Errc code) {
  switch (code) {
    case Errc::invalid:
      return "invalid";
    case Errc::not_found:
      return "not_found";
    case Errc::stale:
      return "stale";
    case Errc::busy:
      return "busy";
    case Errc::unavailable:
      return "unavailable";
    case Errc::timeout:
      return "timeout";
    case Errc::denied:
      return "denied";
    case Errc::limit:
      return "limit";
    case Errc::failed:
      return "failed";
    case Errc::cancelled:
      return "cancelled";
    case Errc::internal:
      return "internal";
  }
  return "internal";
}

std::string_view name_of(Side side) {
  switch (side) {
    case Side::client:
      return "client";
    case Side::pod:
      return "pod";
    case Side::store:
      return "store";
    case Side::runtime:
      return "runtime";
    case Side::alcove:
      return "alcove";
  }
  return "alcove";
}

std::string_view name_of(Phase phase) {
  switch (phase) {
    case Phase::head:
      return "head";
    case Phase::lookup:
      return "lookup";
    case Phase::hold:
      return "hold";
    case Phase::dial:
      return "dial";
    case Phase::response:
      return "response";
    case Phase::body:
      return "body";
    case Phase::tunnel:
      return "tunnel";
  }
  return "head";
}

std::string_view name_of(Limit limit) {
  switch (limit) {
    case Limit::none:
    case Limit::count_:
      break;
    case Limit::connections:
      return "connections";
    case Limit::connections_per_address:
      return "connections_per_address";
    case Limit::requests_per_connection:
      return "requests_per_connection";
    case Limit::head_bytes:
      return "head_bytes";
    case Limit::head_fields:
      return "head_fields";
    case Limit::head:
      return "head";
    case Limit::body_limit:
      return "body_limit";
    case Limit::body_rate:
      return "body_rate";
    case Limit::body_idle:
      return "body_idle";
    case Limit::response_timeout:
      return "response_timeout";
    case Limit::holds:
      return "holds";
    case Limit::holds_per_user:
      return "holds_per_user";
    case Limit::hold_timeout:
      return "hold_timeout";
    case Limit::tunnel_idle:
      return "tunnel_idle";
    case Limit::drain:
      return "drain";
  }
  return "none";
}

}  // namespace alcove
