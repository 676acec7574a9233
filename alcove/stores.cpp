#include "alcove/stores.hpp"

#include "store/memory_store.hpp"
#include "store/redis_store.hpp"

namespace alcove {

Stores::Stores(const StoreSettings& settings) : settings_(settings) {
  if (std::holds_alternative<MemoryStoreSettings>(settings_)) memory_ = std::make_shared<MemoryBackend>();
}

std::unique_ptr<Store> Stores::make(asio::io_context& io) const {
  if (memory_) return make_memory_store(memory_, io.get_executor());
  return make_redis_store(std::get<RedisStoreSettings>(settings_), io);
}

std::string Stores::where() const {
  if (memory_) return "memory";
  const auto& redis = std::get<RedisStoreSettings>(settings_);
  return "redis at " + redis.host + ":" + std::to_string(redis.port);
}

}  // namespace alcove
