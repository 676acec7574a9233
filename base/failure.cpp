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

}  // namespace alcove
