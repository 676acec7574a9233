#include "proxy/polled_socket.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

namespace alcove::proxy {
namespace {

error_code error_of(int number) {
  return {number, boost::system::system_category()};
}
bool would_block(int number) {
  return number == EAGAIN || number == EWOULDBLOCK;
}

}  // namespace

std::size_t PolledSocket::try_read(char* data, std::size_t size, error_code& ec) {
  if (!readable_ || !poller_.may_read()) {
    ec = asio::error::would_block;
    return 0;
  }
  poller_.has_read();
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), data, size, 0);
    if (got > 0) {
      const auto n = static_cast<std::size_t>(got);
      // What comes after a short read is a new edge (epoll(7), "Do I need to continuously read").
      if (n < size && !ended_) readable_ = false;
      ec = {};
      return n;
    }
    if (got == 0) {
      ec = asio::error::eof;
      return 0;
    }
    if (errno == EINTR) continue;
    if (would_block(errno)) readable_ = false;
    ec = would_block(errno) ? error_code(asio::error::would_block) : error_of(errno);
    return 0;
  }
}

Readiness PolledSocket::take_turn() {
  poller_.has_read();
  const bool go_on = poller_.may_read();
  if (!go_on) readable_ = true;  // else it would wait for bytes
  return {*this, false, go_on};
}

bool PolledSocket::is_quiet(bool surely) {
  if (!readable_ && !surely && poller_.is_listening()) return true;
  char byte = 0;
  if (::recv(fd_.get(), &byte, 1, MSG_PEEK) >= 0 || !would_block(errno)) return false;
  readable_ = false;
  return true;
}

bool PolledSocket::available() const {
  char byte = 0;
  return ::recv(fd_.get(), &byte, 1, MSG_PEEK) > 0;
}

bool PolledSocket::await_end() {
  if (ended_ || end_awaited_) return ended_;
  end_awaited_ = true;
  poller_.began_to_wait();
  if (const error_code ec = ensure_watched(false)) give_up(ec);
  return false;
}

void PolledSocket::await_end_no_more() {
  if (std::exchange(end_awaited_, false)) poller_.ceased_to_wait();
}

std::size_t PolledSocket::try_write(const Gather& parts, error_code& ec) {
  if (!writable_) {
    ec = asio::error::would_block;
    return 0;
  }
  const std::size_t size = parts.size();
  for (;;) {
    ssize_t sent = 0;
    if (parts.count() == 1) {
      sent = ::send(fd_.get(), parts.data()->iov_base, parts.data()->iov_len, MSG_NOSIGNAL);
    } else {
      msghdr message{};
      message.msg_iov = const_cast<iovec*>(parts.data());
      message.msg_iovlen = parts.count();
      sent = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    }
    if (sent >= 0) {
      const auto n = static_cast<std::size_t>(sent);
      if (n < size) writable_ = false;
      ec = {};
      return n;
    }
    if (errno == EINTR) continue;
    if (would_block(errno)) writable_ = false;
    ec = would_block(errno) ? error_code(asio::error::would_block) : error_of(errno);
    return 0;
  }
}

std::size_t PolledSocket::try_write(std::string_view data, error_code& ec) {
  Gather parts;
  parts.add(data.data(), data.size());
  return try_write(parts, ec);
}

Awaitable<error_code> PolledSocket::connect(Endpoint endpoint) {
  fd_.reset(::socket(endpoint.data()->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!fd_) co_return error_of(errno);
  const int on = 1;
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  readable_ = false;
  if (::connect(fd_.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0)
    co_return error_code{};
  if (errno != EINPROGRESS) co_return error_of(errno);
  writable_ = false;
  const error_code given_up = co_await wait_writable();
  if (given_up) co_return given_up;
  int problem = 0;
  socklen_t size = sizeof problem;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &problem, &size) != 0) problem = errno;
  co_return error_of(problem);
}

// Most sockets are never full, and to be told that one is not costs an event: so only who waits to write
// asks.
error_code PolledSocket::ensure_watched(bool to_write) {
  constexpr std::uint32_t kRead = EPOLLIN | EPOLLRDHUP;
  const std::uint32_t wanted = watched_ | kRead | (to_write ? std::uint32_t{EPOLLOUT} : 0U);
  if (wanted == watched_) return {};
  const error_code ec = poller_.watch(*this, wanted, watched_ == 0);
  if (!ec) watched_ = wanted;
  return ec;
}

void PolledSocket::give_up(const error_code& ec) {
  for (ReadinessAwaiter** list : {&readers_, &writers_}) {
    ReadinessAwaiter* const first = std::exchange(*list, nullptr);
    for (ReadinessAwaiter* r = first; r != nullptr; r = r->next_) r->ec_ = ec;
    poller_.resume_later(first);
  }
}

void PolledSocket::cancel() {
  give_up(asio::error::operation_aborted);
}

void PolledSocket::shutdown_send() {
  ::shutdown(fd_.get(), SHUT_WR);
}

void PolledSocket::close() {
  if (!fd_) return;
  cancel();
  await_end_no_more();
  poller_.forget(*this);
  watched_ = 0;
  fd_.reset();
}

}  // namespace alcove::proxy
