// RedisReply: one value of the Redis protocol (RESP2), as it came. Plain data, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace alcove {

using RedisArgv = std::vector<std::string>;

struct RedisReply {
  enum class Kind : std::uint8_t { nil, integer, string, error, array };  // a status is a string
  Kind kind = Kind::nil;
  std::int64_t integer = 0;
  std::string text;  // string, error
  std::vector<RedisReply> elements;
};

}  // namespace alcove
