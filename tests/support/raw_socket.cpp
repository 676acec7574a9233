#include "tests/support/raw_socket.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>

namespace alcove::test {
namespace {

constexpr int kPatienceMs = 10'000;

bool readable_within(int fd, int ms) {
  pollfd waiting{fd, POLLIN, 0};
  return ::poll(&waiting, 1, ms) == 1;
}

}  // namespace

RawSocket::~RawSocket() {
  close();
}
RawSocket::RawSocket(RawSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)) {}
RawSocket& RawSocket::operator=(RawSocket&& other) noexcept {
  close();
  fd_ = std::exchange(other.fd_, -1);
  buffer_ = std::move(other.buffer_);
  return *this;
}

RawSocket RawSocket::connect(std::uint16_t port) {
  RawSocket made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(made.fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("connect failed");
  const int on = 1;
  ::setsockopt(made.fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return made;
}

void RawSocket::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) throw std::runtime_error("send: the peer is gone");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

bool RawSocket::fill() {
  if (!readable_within(fd_, kPatienceMs)) throw std::runtime_error("nothing came; so far: " + buffer_);
  char chunk[16384];
  const auto n = ::recv(fd_, chunk, sizeof chunk, 0);
  if (n <= 0) return false;
  buffer_.append(chunk, static_cast<std::size_t>(n));
  return true;
}

std::string RawSocket::read_until(std::string_view end) {
  for (;;) {
    if (const auto at = buffer_.find(end); at != std::string::npos) {
      std::string found = buffer_.substr(0, at + end.size());
      buffer_.erase(0, at + end.size());
      return found;
    }
    if (!fill())
      throw std::runtime_error("the connection ended before the awaited bytes; so far: " + buffer_);
  }
}

std::string RawSocket::read_exactly(std::size_t count) {
  while (buffer_.size() < count)
    if (!fill()) throw std::runtime_error("the connection ended too early; so far: " + buffer_);
  std::string found = buffer_.substr(0, count);
  buffer_.erase(0, count);
  return found;
}

std::string RawSocket::read_to_end() {
  while (fill()) continue;
  return std::exchange(buffer_, {});
}

bool RawSocket::at_end() {
  return buffer_.empty() && !fill();
}
bool RawSocket::silent_for_ms(int ms) {
  return buffer_.empty() && !readable_within(fd_, ms);
}
void RawSocket::shutdown_write() {
  ::shutdown(fd_, SHUT_WR);
}

void RawSocket::reset() {
  const linger at_once{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close();
}

void RawSocket::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

RawListener::RawListener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd_, 1024) != 0 ||
      ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("no listening socket");
  port_ = ntohs(address.sin_port);
}
RawListener::~RawListener() {
  ::close(fd_);
}

RawSocket RawListener::accept() {
  if (!readable_within(fd_, kPatienceMs)) throw std::runtime_error("nobody connected");
  return RawSocket(::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC));
}
bool RawListener::nobody_comes_for_ms(int ms) {
  return !readable_within(fd_, ms);
}

}  // namespace alcove::test
