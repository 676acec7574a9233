// Stores: makes the Store objects of this process, one for each io_context, all on the same memory or the
// same Redis. Called by: app, control, admin, the gateway's workers (any thread). Owns: the memory, if that
// is the store. Fails with: std::runtime_error from a CA file that cannot be used.
#pragma once

#include "config/settings.hpp"
#include "store/store.hpp"

#include <memory>
#include <string>

namespace alcove {

class MemoryBackend;

class Stores {
 public:
  explicit Stores(const StoreSettings& settings);
  std::unique_ptr<Store> make(asio::io_context& io) const;
  std::string where() const;  // for people: "memory", "redis at 127.0.0.1:6379"; never a password

 private:
  StoreSettings settings_;
  std::shared_ptr<MemoryBackend> memory_;
};

}  // namespace alcove
