// Gather: up to four pieces that are sent as one write (head, chunk size, payload, chunk end), without
// copying them together. Called by relay; filled by it and body. Owns nothing: the pieces live as long as the
// write. consume() after a partial write. Pure, any thread.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>

namespace alcove::proxy {

class Gather {
 public:
  void add(const void* data, std::size_t size) {
    // sendmsg(2) does not write to what an iovec points to.
    if (size > 0) parts_[count_++] = {const_cast<void*>(data), size};
  }
  std::size_t size() const {
    std::size_t total = 0;
    for (std::size_t i = first_; i < count_; ++i) total += parts_[i].iov_len;
    return total;
  }
  void consume(std::size_t n) {
    while (n > 0) {
      iovec& part = parts_[first_];
      const std::size_t step = std::min(n, part.iov_len);
      part.iov_base = static_cast<char*>(part.iov_base) + step;
      part.iov_len -= step;
      n -= step;
      if (part.iov_len == 0) ++first_;
    }
  }
  // What is left, for sendmsg(2).
  const iovec* data() const { return parts_.data() + first_; }
  std::size_t count() const { return count_ - first_; }

 private:
  std::array<iovec, 4> parts_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

}  // namespace alcove::proxy
