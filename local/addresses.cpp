#include "local/addresses.hpp"

#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <fmt/format.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <string>

namespace alcove {
namespace {

namespace ip = boost::asio::ip;

constexpr std::uint32_t kTries = 64;

// 0, or the errno of the bind. Without SO_REUSEADDR: connections of an earlier pod that still close count as
// taken.
int try_bind(std::uint32_t address, std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(address);
  name.sin_port = htons(port);
  const int error = ::bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 ? 0 : errno;
  ::close(fd);
  return error;
}

}  // namespace

AddressPool::AddressPool(std::uint32_t first, std::uint32_t size) : first_(first), size_(size) {
  std::random_device random;
  cursor_ = std::uniform_int_distribution<std::uint32_t>(0, size_ - 1)(random);
}

Result<AddressPool> AddressPool::parse(std::string_view network) {
  boost::system::error_code ec;
  const ip::network_v4 block = ip::make_network_v4(std::string(network), ec);
  const auto wrong = [&](std::string_view why) {
    return Error{
        Errc::invalid,
        fmt::format("runtime.local.network \"{}\" {}; a loopback block such as 127.96.0.0/11 is expected",
                    network, why)};
  };
  if (ec) return wrong("is no IPv4 network");
  if (!block.network().is_loopback()) return wrong("is not in 127.0.0.0/8");
  if (block.prefix_length() > 30 || block.prefix_length() < 8)
    return wrong("must have a prefix from /8 to /30");
  const std::uint32_t size = 1U << (32 - block.prefix_length());
  return AddressPool(block.network().to_uint() + 1, size - 2);
}

Result<Endpoint> AddressPool::take(std::uint16_t port) {
  int error = 0;
  const std::uint32_t tries = std::min(size_, static_cast<std::uint32_t>(taken_.size()) + kTries);
  for (std::uint32_t i = 0, bound = 0; i < tries && bound < kTries; ++i) {
    const std::uint32_t address = first_ + cursor_;
    cursor_ = (cursor_ + 1) % size_;
    if (taken_.contains(address)) continue;
    ++bound;
    error = try_bind(address, port);
    if (error == EACCES) break;
    if (error != 0) continue;
    taken_.insert(address);
    return Endpoint(ip::address_v4(address), port);
  }
  if (error == 0)
    return Error{Errc::failed, fmt::format("all {} addresses of runtime.local.network are in use", size_)};
  if (error == EADDRINUSE)
    return Error{
        Errc::failed,
        fmt::format("port {} is in use on every address that was tried: something listens on 0.0.0.0:{} or "
                    "[::]:{}; give the app another port, or have that program listen on one address",
                    port, port, port)};
  return Error{Errc::failed, fmt::format("port {} cannot be used: {}", port, ::strerror(error))};
}

void AddressPool::give_back(const Endpoint& endpoint) {
  taken_.erase(endpoint.address().to_v4().to_uint());
}

}  // namespace alcove
