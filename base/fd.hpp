// Fd: a file descriptor that is closed by its owner's end. And ListeningSocket: one that listens, with its
// address, on its way from one process or object to another. Thread: any, one owner at a time.
#pragma once

#include "base/endpoint.hpp"

#include <unistd.h>

#include <utility>

namespace alcove {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

struct ListeningSocket {
  Endpoint endpoint;
  Fd fd;
};

}  // namespace alcove
