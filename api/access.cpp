#include "api/access.hpp"

#include "base/crypto.hpp"
#include "base/text.hpp"

#include <boost/asio/ip/address.hpp>

namespace alcove {
namespace {

// Without its port and brackets.
std::string_view name_of_host(std::string_view host) {
  if (host.starts_with('[')) {
    const auto end = host.find(']');
    return end == std::string_view::npos ? std::string_view{} : host.substr(1, end - 1);
  }
  return host.substr(0, host.find(':'));
}

bool is_loopback_host(std::string_view host) {
  std::string_view name = name_of_host(host);
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.find('\0') != std::string_view::npos) return false;  // make_address would stop there
  constexpr std::string_view kLocal = ".localhost";
  if (iequals(name, kLocal.substr(1))) return true;
  if (name.size() > kLocal.size() && iequals(name.substr(name.size() - kLocal.size()), kLocal)) return true;
  boost::system::error_code bad;
  const auto address = boost::asio::ip::make_address(std::string(name), bad);
  return !bad && address.is_loopback();
}

bool from_another_page(const AccessQuestion& question) {
  if (!question.fetch_site.empty())
    return question.fetch_site != "same-origin" && question.fetch_site != "none";
  return !question.origin.empty() && question.origin != "http://" + std::string(question.host);
}

}  // namespace

std::optional<Refusal> refuse_access(const AccessQuestion& question, std::string_view token) {
  if (!token.empty()) {
    constexpr std::string_view kScheme = "Bearer ";
    const std::string_view sent = question.authorization;
    const bool bearer = sent.size() > kScheme.size() && iequals(sent.substr(0, kScheme.size()), kScheme);
    if (bearer && equal_constant_time(trim(sent.substr(kScheme.size())), token)) return std::nullopt;
    return Refusal{401,
                   bearer ? "the token is wrong" : "a token is needed: send \"Authorization: Bearer TOKEN\""};
  }
  if (!is_loopback_host(question.host))
    return Refusal{403, "the Host \"" + printable(question.host, 80) +
                            "\" is no loopback name: use 127.0.0.1 or localhost, or set admin.token"};
  if (question.changes && from_another_page(question))
    return Refusal{403, "a web page may not change anything here"};
  return std::nullopt;
}

}  // namespace alcove
