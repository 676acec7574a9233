// Endpoint: where a pod listens. Only half of an address: it is used together with the pod's UID, since
// addresses are used again by other pods.
#pragma once

#include "base/result.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <string>
#include <string_view>

namespace alcove {

using Endpoint = boost::asio::ip::tcp::endpoint;

// An endpoint for those who keep very many: 24 bytes, comparable. IPv4 as IPv4-mapped IPv6 (RFC
// 4291 2.5.5.2).
class PackedEndpoint {
 public:
  explicit PackedEndpoint(const Endpoint& endpoint);
  Endpoint unpacked() const;
  friend bool operator==(const PackedEndpoint&, const PackedEndpoint&) = default;

 private:
  boost::asio::ip::address_v6::bytes_type address_;
  std::uint32_t scope_;
  std::uint16_t port_;
};

// "127.0.1.1:9000" or "[::1]:9000". Errc::invalid with what was expected.
Result<Endpoint> parse_endpoint(std::string_view text);
std::string to_string(const Endpoint& endpoint);

// A text endpoint as listeners take it: "127.0.0.1:8080", "[::]:8080", ":8080" (all addresses, IPv6 and
// IPv4).
Result<Endpoint> parse_listen_endpoint(std::string_view text);

}  // namespace alcove
