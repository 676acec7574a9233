#include "local/listeners.hpp"

#include <boost/asio/ip/address_v4.hpp>

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace alcove {
namespace {

struct Question {
  nlmsghdr header;
  inet_diag_req_v2 body;
};

Question about(const Endpoint& endpoint) {
  Question question{};
  question.header.nlmsg_len = sizeof question;
  question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  question.header.nlmsg_flags = NLM_F_REQUEST;
  question.body.sdiag_family = AF_INET;
  question.body.sdiag_protocol = IPPROTO_TCP;
  question.body.idiag_states = 1U << TCP_LISTEN;
  question.body.id.idiag_sport = htons(endpoint.port());
  question.body.id.idiag_src[0] = htonl(endpoint.address().to_v4().to_uint());
  question.body.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
  question.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  return question;
}

// The answer is one socket, or an error if there is none.
bool is_listener(const char* answer, std::size_t size) {
  nlmsghdr header{};
  inet_diag_msg body{};
  if (size < NLMSG_LENGTH(sizeof body)) return false;
  ::memcpy(&header, answer, sizeof header);
  if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY) return false;
  ::memcpy(&body, answer + NLMSG_HDRLEN, sizeof body);
  return body.idiag_state == TCP_LISTEN;
}

// Found by the question for a listener of our own? A kernel without tcp_diag answers as if there were none.
bool works(const Listeners& listeners) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof name;
  auto* const raw = reinterpret_cast<sockaddr*>(&name);
  const bool listens =
      ::bind(fd, raw, size) == 0 && ::listen(fd, 1) == 0 && ::getsockname(fd, raw, &size) == 0;
  const bool found =
      listens && listeners.has(Endpoint(boost::asio::ip::address_v4::loopback(), ntohs(name.sin_port)));
  ::close(fd);
  return found;
}

}  // namespace

std::unique_ptr<Listeners> Listeners::open() {
  const int socket = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
  if (socket < 0) return nullptr;
  std::unique_ptr<Listeners> listeners(new Listeners(socket));
  return works(*listeners) ? std::move(listeners) : nullptr;
}

Listeners::~Listeners() {
  ::close(socket_);
}

bool Listeners::has(const Endpoint& endpoint) const {
  if (!endpoint.address().is_v4()) return false;
  const Question question = about(endpoint);
  if (::send(socket_, &question, sizeof question, 0) != static_cast<ssize_t>(sizeof question)) return false;
  std::array<char, 4096> answer;
  const ssize_t size = ::recv(socket_, answer.data(), answer.size(), 0);
  return size > 0 && is_listener(answer.data(), static_cast<std::size_t>(size));
}

}  // namespace alcove
