#include "base/endpoint.hpp"

#include "base/text.hpp"

#include <charconv>

namespace alcove {
namespace {

Error not_an_endpoint(std::string_view text) {
  return {Errc::invalid,
          "\"" + printable(text, 80) + "\" is not ADDRESS:PORT, such as 127.0.0.1:8080 or [::1]:8080"};
}

}  // namespace

PackedEndpoint::PackedEndpoint(const Endpoint& endpoint) : port_(endpoint.port()) {
  namespace ip = boost::asio::ip;
  const ip::address address = endpoint.address();
  const ip::address_v6 v6 =
      address.is_v6() ? address.to_v6() : ip::make_address_v6(ip::v4_mapped, address.to_v4());
  address_ = v6.to_bytes();
  scope_ = static_cast<std::uint32_t>(v6.scope_id());
}

Endpoint PackedEndpoint::unpacked() const {
  namespace ip = boost::asio::ip;
  const ip::address_v6 v6(address_, scope_);
  if (v6.is_v4_mapped()) return {ip::make_address_v4(ip::v4_mapped, v6), port_};
  return {v6, port_};
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return not_an_endpoint(text);
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  unsigned port = 0;
  const auto [end, ec] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (ec != std::errc{} || end != port_text.data() + port_text.size() || port > 65535)
    return not_an_endpoint(text);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.find('\0') != std::string_view::npos)
    return not_an_endpoint(text);  // make_address would stop there
  boost::system::error_code bad;
  const auto address = boost::asio::ip::make_address(std::string(host), bad);
  if (bad || bracketed != address.is_v6()) return not_an_endpoint(text);
  return Endpoint(address, static_cast<unsigned short>(port));
}

Result<Endpoint> parse_listen_endpoint(std::string_view text) {
  if (!text.empty() && text.front() == ':') return parse_endpoint("[::]" + std::string(text));
  return parse_endpoint(text);
}

std::string to_string(const Endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  const std::string port = std::to_string(endpoint.port());
  return endpoint.address().is_v6() ? "[" + host + "]:" + port : host + ":" + port;
}

}  // namespace alcove
