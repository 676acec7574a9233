// Gather: up to four pieces that are sent as one write (head, chunk size, payload, chunk end), without
// copying them together. Called by relay; filled by it and body. Owns nothing: the pieces live as long as the
// write. It is an Asio ConstBufferSequence; consume() after a partial write. Pure, any thread.
#pragma once

#include <boost/asio/buffer.hpp>

#include <algorithm>
#include <array>
#include <cstddef>

namespace alcove::proxy {

class Gather {
 public:
  void add(const void* data, std::size_t size) {
    if (size > 0) parts_[count_++] = boost::asio::const_buffer(data, size);
  }
  std::size_t size() const {
    std::size_t total = 0;
    for (std::size_t i = first_; i < count_; ++i) total += parts_[i].size();
    return total;
  }
  void consume(std::size_t n) {
    while (n > 0) {
      const std::size_t step = std::min(n, parts_[first_].size());
      parts_[first_] += step;
      n -= step;
      if (parts_[first_].size() == 0) ++first_;
    }
  }
  // As Asio wants it
  using value_type = boost::asio::const_buffer;
  using const_iterator = const boost::asio::const_buffer*;
  const_iterator begin() const { return parts_.data() + first_; }
  const_iterator end() const { return parts_.data() + count_; }

 private:
  std::array<boost::asio::const_buffer, 4> parts_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

}  // namespace alcove::proxy
