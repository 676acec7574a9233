// RedisReader: bytes of the protocol in, RedisReply out; hiredis's parser behind it. Also its command
// formatter. Called by: redis_link. Not thread-safe. Fails with: Errc::unavailable for what is not the
// protocol (or lists of absurd length); after that the connection is of no use.
#pragma once

#include "base/result.hpp"
#include "store/redis_reply.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct redisReader;

namespace alcove {

std::string format_redis_command(const RedisArgv& argv);

class RedisReader {
 public:
  RedisReader();
  void feed(std::string_view bytes);
  Result<std::optional<RedisReply>> next();  // empty: more bytes are needed

 private:
  struct Free {
    void operator()(redisReader* reader) const;
  };
  std::unique_ptr<redisReader, Free> reader_;
};

}  // namespace alcove
