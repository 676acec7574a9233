// redis://user:password@host:6379/0 and rediss:// (TLS). Any thread.
// Fails with: Errc::invalid; the text never repeats the URL, which holds a password.
#pragma once

#include "config/settings.hpp"

#include <string_view>

namespace alcove {

Result<RedisStoreSettings> parse_redis_url(std::string_view url);

}  // namespace alcove
