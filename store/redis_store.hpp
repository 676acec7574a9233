// RedisStore: the Store on a Redis server (6.2 or newer), the source of truth for many gateways. Every call
// is one script (store/scripts), run by its SHA; pushes come over a connection of their own. Made by: alcove/
// and tests, one for each io_context. Thread: the io_context's. Connects by itself and comes back by itself:
// calls made meanwhile wait up to the command time-out of the settings. Owns its two links. Fails with: as
// the Store says; an unreadable CA file throws std::runtime_error when it is made.
#pragma once

#include "config/settings.hpp"
#include "store/store.hpp"

#include <memory>

namespace alcove {

std::unique_ptr<Store> make_redis_store(const RedisStoreSettings& settings, asio::io_context& io);

}  // namespace alcove
