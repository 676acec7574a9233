#include "local/listeners.hpp"

#include <boost/asio/ip/address_v4.hpp>

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace alcove {
namespace {

struct Question {
  nlmsghdr header;
  inet_diag_req_v2 body;
};

Question about(const Endpoint& endpoint, std::uint32_t number) {
  Question question{};
  question.header.nlmsg_len = sizeof question;
  question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  question.header.nlmsg_flags = NLM_F_REQUEST;
  question.header.nlmsg_seq = number;
  question.body.sdiag_family = AF_INET;
  question.body.sdiag_protocol = IPPROTO_TCP;
  question.body.idiag_states = 1U << TCP_LISTEN;
  question.body.id.idiag_sport = htons(endpoint.port());
  question.body.id.idiag_src[0] = htonl(endpoint.address().to_v4().to_uint());
  question.body.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
  question.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  return question;
}

struct Answer {
  nlmsghdr header;
  inet_diag_msg body;
  std::array<char, 4096> attributes;  // so that none is cut off
};

bool answers(const nlmsghdr& header, std::size_t size, const Question& question) {
  return size >= sizeof header && header.nlmsg_seq == question.header.nlmsg_seq;
}

// One socket, or an error if there is none. Its address says less than its port: it may listen on all of
// them.
bool is_listener(const Answer& answer, std::size_t size, const Question& question) {
  return answer.header.nlmsg_type == SOCK_DIAG_BY_FAMILY && size >= NLMSG_LENGTH(sizeof answer.body) &&
         answer.body.idiag_state == TCP_LISTEN && answer.body.id.idiag_sport == question.body.id.idiag_sport;
}

// Found by the question for a listener of our own? A kernel without tcp_diag answers as if there were none.
bool works(Listeners& listeners) {
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

bool Listeners::has(const Endpoint& endpoint) {
  if (!endpoint.address().is_v4()) return false;
  const Question question = about(endpoint, ++questions_);
  if (::send(socket_, &question, sizeof question, 0) != static_cast<ssize_t>(sizeof question)) return false;
  for (;;) {
    Answer answer;
    const ssize_t received = ::recv(socket_, &answer, sizeof answer, 0);
    if (received < 0) return false;
    const auto size = static_cast<std::size_t>(received);
    if (answers(answer.header, size, question)) return is_listener(answer, size, question);
  }
}

}  // namespace alcove
