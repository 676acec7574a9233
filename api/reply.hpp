// Reply: an answer of the admin listener before it is HTTP. Errors are application/problem+json (RFC 9457).
// Pure, any thread.
#pragma once

#include "base/result.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>

namespace alcove {

struct Reply {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::string allow;  // 405: the methods that are
};

// Bytes that are not UTF-8 (from a pod's last words) are replaced.
Reply json_reply(int status, const nlohmann::json& body);
Reply problem(int status, std::string_view detail);
Reply problem(const Error& error);  // with the status that fits its code

}  // namespace alcove
