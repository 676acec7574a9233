// Who may use the admin listener (api/access): the token, or else a loopback name and no foreign page.
// The text: lines of Authorization, Host, Origin and Sec-Fetch-Site.
// Options: A a token is set; B the request changes something.
#include "api/access.hpp"
#include "tests/fuzz/check.hpp"
#include "tests/fuzz/input.hpp"

#include <arpa/inet.h>

#include <array>

namespace alcove::fuzz {
namespace {

constexpr std::string_view kToken = "s3cret-token";

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower(c);
  return out;
}

bool ends_in(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// A name that only this machine answers to: localhost, *.localhost, 127.0.0.0/8, ::1 (which the C library
// reads).
bool names_this_machine(std::string_view host) {
  std::string name = lower_case(host);
  if (name.starts_with('[')) {
    name = name.substr(1, std::min(name.find(']'), name.size()) - 1);
  } else {
    name = name.substr(0, name.find(':'));
  }
  if (name.ends_with('.')) name.pop_back();
  if (name.find('\0') != std::string::npos) return false;
  if (name == "localhost" || ends_in(name, ".localhost")) return true;
  in6_addr v6{};
  if (inet_pton(AF_INET6, name.substr(0, name.find('%')).c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
  in_addr v4{};
  return inet_pton(AF_INET, name.c_str(), &v4) == 1 && name.starts_with("127.");
}

}  // namespace
}  // namespace alcove::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace alcove::fuzz;
  using namespace alcove;
  const Input input(data, size);
  std::array<std::string_view, 4> lines;
  std::string_view rest = input.text();
  for (std::string_view& line : lines) {
    line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  AccessQuestion question;
  question.authorization = lines[0];
  question.host = lines[1];
  question.origin = lines[2];
  question.fetch_site = lines[3];
  question.changes = input.option(1);
  const std::string_view token = input.option(0) ? kToken : std::string_view{};

  const auto refusal = refuse_access(question, token);
  if (refusal) {
    require(refusal->status == (token.empty() ? 403 : 401) && !refusal->text.empty(), "a refusal says why");
    if (!token.empty())
      require(refusal->text.find(token) == std::string::npos, "a refusal tells no secret", refusal->text);
    require(printable(refusal->text, 1000) == refusal->text, "a refusal is printable", refusal->text);
    return 0;
  }
  if (!token.empty()) {
    require(lower_case(lines[0]).starts_with("bearer ") && trim(lines[0].substr(7)) == kToken,
            "only the token lets in", lines[0]);
    return 0;
  }
  require(names_this_machine(lines[1]), "without a token only this machine's names are served", lines[1]);
  if (question.changes && !lines[3].empty())
    require(lines[3] == "same-origin" || lines[3] == "none", "another page changes nothing", lines[3]);
  if (question.changes && lines[3].empty() && !lines[2].empty())
    require(lines[2] == "http://" + std::string(lines[1]), "another origin changes nothing", lines[2]);
  return 0;
}
