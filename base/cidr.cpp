#include "base/cidr.hpp"

#include "base/text.hpp"

#include <charconv>

namespace alcove {
namespace {

namespace ip = boost::asio::ip;

std::array<unsigned char, 16> mapped(const ip::address& address) {
  if (address.is_v6()) return address.to_v6().to_bytes();
  return ip::make_address_v6(ip::v4_mapped, address.to_v4()).to_bytes();
}

}  // namespace

Result<Cidr> Cidr::parse(std::string_view text) {
  const Error wrong{Errc::invalid,
                    "\"" + printable(text, 80) + "\" is not an address block, such as 10.0.0.0/8 or ::1"};
  const auto slash = text.find('/');
  // make_address stops at a NUL and takes zone names, which mean nothing in a block.
  if (text.find_first_not_of("0123456789abcdefABCDEF:./") != std::string_view::npos) return wrong;
  boost::system::error_code ec;
  const auto address = ip::make_address(std::string(text.substr(0, slash)), ec);
  if (ec) return wrong;
  const unsigned width = address.is_v4() ? 32 : 128;
  unsigned bits = width;
  if (slash != std::string_view::npos) {
    const std::string_view length = text.substr(slash + 1);
    const auto [end, bad] = std::from_chars(length.data(), length.data() + length.size(), bits);
    if (bad != std::errc{} || end != length.data() + length.size() || bits > width) return wrong;
  }
  Cidr out;
  out.bytes_ = mapped(address);
  out.bits_ = static_cast<int>(bits + (128 - width));
  for (int bit = out.bits_; bit < 128; ++bit) {
    auto& byte = out.bytes_[static_cast<std::size_t>(bit / 8)];
    byte = static_cast<unsigned char>(byte & ~(0x80U >> (bit % 8)));
  }
  return out;
}

bool Cidr::contains(const ip::address& address) const {
  const auto other = mapped(address);
  const auto whole = static_cast<std::size_t>(bits_ / 8);
  for (std::size_t i = 0; i < whole; ++i)
    if (bytes_[i] != other[i]) return false;
  if (bits_ % 8 == 0) return true;
  const auto mask = static_cast<unsigned char>(0xFF00U >> (bits_ % 8));
  return (bytes_[whole] & mask) == (other[whole] & mask);
}

std::string Cidr::text() const {
  const ip::address_v6 address(bytes_);
  if (address.is_v4_mapped() && bits_ >= 96)
    return ip::make_address_v4(ip::v4_mapped, address).to_string() + "/" + std::to_string(bits_ - 96);
  return address.to_string() + "/" + std::to_string(bits_);
}

bool contains(const std::vector<Cidr>& blocks, const ip::address& address) {
  for (const Cidr& block : blocks)
    if (block.contains(address)) return true;
  return false;
}

}  // namespace alcove
