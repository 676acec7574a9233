// Loopback addresses for pods, one each, from a block such as 127.96.0.0/11. A cursor that begins at a random
// place moves on with every address, so that one is not given again soon: a late packet or a stale route
// meets nobody. Called by: local runtime (owner). Thread: its own. Fails: Errc::failed when nothing in the
// block can be bound.
#pragma once

#include "base/endpoint.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <string_view>
#include <unordered_set>

namespace alcove {

class AddressPool {
 public:
  // "127.96.0.0/11". Errc::invalid: no IPv4 loopback block, or smaller than /30.
  static Result<AddressPool> parse(std::string_view network);

  // The next address on which `port` can be bound now (tried, and let go again).
  Result<Endpoint> take(std::uint16_t port);
  void give_back(const Endpoint& endpoint);
  std::size_t taken() const { return taken_.size(); }
  void move_cursor(std::uint32_t to) { cursor_ = to % size_; }

 private:
  AddressPool(std::uint32_t first, std::uint32_t size);

  std::uint32_t first_;  // host byte order; the block's own first and last address are left out
  std::uint32_t size_;
  std::uint32_t cursor_;
  std::unordered_set<std::uint32_t> taken_;
};

}  // namespace alcove
