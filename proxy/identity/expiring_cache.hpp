// Expiring cache: what a text was found to mean, until it expires: a cookie or a trusted user name its
// principal, a session its JWT, so that a known user costs one look-up and no HMAC. Called by identity, one
// per worker; not thread-safe. Bounded: two halves of kHalf entries. What is asked for moves to the young
// half; when that is full the old half is forgotten and the young one takes its place. Only what Alcove has
// verified or made is kept, so strangers cannot push others out.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace alcove::proxy {

template <class Known>
class ExpiringCache {
 public:
  static constexpr std::size_t kHalf = 16 * 1024;
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

  // nullptr: not known, or expired at `now_s`. Valid until the next call.
  const Known* find(std::string_view text, std::int64_t now_s) {
    auto at = young_.find(text);
    if (at == young_.end()) {
      const auto old = old_.find(text);
      if (old == old_.end()) return nullptr;
      std::pair<std::string, Entry> moved{old->first, std::move(old->second)};
      old_.erase(old);
      make_room();
      at = young_.insert(std::move(moved)).first;
    }
    if (now_s < at->second.expires_s) return &at->second.known;
    young_.erase(at);
    return nullptr;
  }

  const Known* insert(std::string_view text, Known known, std::int64_t expires_s) {
    make_room();
    return &young_.insert_or_assign(std::string(text), Entry{std::move(known), expires_s})
                .first->second.known;
  }

  std::size_t size() const { return young_.size() + old_.size(); }

 private:
  struct Entry {
    Known known;
    std::int64_t expires_s;  // Unix time
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using Half = boost::unordered_flat_map<std::string, Entry, Hash, std::equal_to<>>;

  void make_room() {
    if (young_.size() < kHalf) return;
    old_ = std::move(young_);
    young_.clear();
  }

  Half young_;
  Half old_;
};

}  // namespace alcove::proxy
