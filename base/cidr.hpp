// Cidr: an address block such as 10.0.0.0/8 or ::1. IPv4-mapped IPv6 addresses are compared as IPv4.
#pragma once

#include "base/result.hpp"

#include <boost/asio/ip/address.hpp>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace alcove {

class Cidr {
 public:
  static Result<Cidr> parse(std::string_view text);  // Errc::invalid: what was expected
  bool contains(const boost::asio::ip::address& address) const;
  std::string text() const;
  friend bool operator==(const Cidr&, const Cidr&) = default;

 private:
  std::array<unsigned char, 16> bytes_{};  // IPv4 is kept in its mapped form
  int bits_ = 0;                           // of the 128
};

bool contains(const std::vector<Cidr>& blocks, const boost::asio::ip::address& address);

}  // namespace alcove
