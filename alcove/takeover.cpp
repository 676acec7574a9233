#include "alcove/takeover.hpp"

#include "base/log.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string_view>

namespace alcove {
namespace {

// One message each: "gateway 127.0.0.1:8080" or "admin ..." with sockets, then kEnd. kAccepting comes back.
constexpr std::string_view kHello = "alcove takeover 1";
constexpr std::string_view kEnd = "end";
constexpr std::string_view kAccepting = "accepting";
constexpr std::size_t kSocketsAMessage = 250;  // the kernel takes 253 (SCM_MAX_FD)
constexpr int kWait_s = 10;

std::string why() {
  return std::strerror(errno);
}

Error cannot(const std::string& what, const std::string& path) {
  return {Errc::unavailable, "takeover: cannot " + what + " " + path + ": " + why()};
}

std::optional<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return std::nullopt;
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

const sockaddr* plain(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

bool send_message(int channel, std::string_view text, const std::vector<int>& sockets) {
  iovec part{const_cast<char*>(text.data()), text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  std::vector<char> control;
  if (!sockets.empty()) {
    const std::size_t bytes = sockets.size() * sizeof(int);
    control.resize(CMSG_SPACE(bytes));
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(bytes);
    std::memcpy(CMSG_DATA(head), sockets.data(), bytes);
  }
  return ::sendmsg(channel, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

// Empty: the other side has gone, or takes too long.
std::string receive_message(int channel, std::vector<Fd>& sockets) {
  std::array<char, 256> text;
  iovec part{text.data(), text.size()};
  std::vector<char> control(CMSG_SPACE(kSocketsAMessage * sizeof(int)));
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t n = ::recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); n > 0 && head != nullptr;
       head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    std::vector<int> raw(count);
    std::memcpy(raw.data(), CMSG_DATA(head), count * sizeof(int));
    for (const int fd : raw) sockets.emplace_back(fd);
  }
  return n > 0 ? std::string(text.data(), static_cast<std::size_t>(n)) : std::string();
}

bool send_sockets(int channel, const std::string& kind, const std::vector<ListeningSocket>& sockets) {
  for (std::size_t at = 0; at < sockets.size();) {
    const Endpoint& endpoint = sockets[at].endpoint;
    std::vector<int> same;
    while (at < sockets.size() && sockets[at].endpoint == endpoint && same.size() < kSocketsAMessage)
      same.push_back(sockets[at++].fd.get());
    if (!send_message(channel, kind + " " + to_string(endpoint), same)) return false;
  }
  return true;
}

bool may_take_over(int channel) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(channel, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         (peer.uid == ::geteuid() || peer.uid == 0);
}

}  // namespace

// -------------------------------------------------------------------------------------------------
// predecessor

Predecessor::Predecessor(Executor executor, Copy copy, Taken taken)
    : copy_(std::move(copy)), taken_(std::move(taken)), listener_(executor) {}

Predecessor::~Predecessor() {
  close();
}

Result<void> Predecessor::open(const std::string& path) {
  path_ = path;
  beside_ = path + "." + std::to_string(::getpid());
  const auto address = address_of(beside_);
  if (!address) return cannot("listen on", beside_);
  Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ::unlink(beside_.c_str());
  if (!socket || ::bind(socket.get(), plain(*address), sizeof *address) != 0 ||
      ::chmod(beside_.c_str(), S_IRUSR | S_IWUSR) != 0 || ::listen(socket.get(), 8) != 0)
    return cannot("listen on", beside_);
  listener_.assign(socket.release());
  return {};
}

Result<void> Predecessor::publish() {
  if (std::rename(beside_.c_str(), path_.c_str()) != 0) return cannot("rename to", path_);
  published_ = true;
  launch(listener_.get_executor(), serving());
  return {};
}

void Predecessor::close() {
  if (!listener_.is_open()) return;
  error_code ignored;
  listener_.close(ignored);
  if (successor_) successor_->close(ignored);
  ::unlink((published_ ? path_ : beside_).c_str());
}

Awaitable<void> Predecessor::serving() {
  while (listener_.is_open()) {
    auto [ec] = co_await listener_.async_wait(Descriptor::wait_read, kTuple);
    if (ec) co_return;
    Fd channel(::accept4(listener_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!channel) continue;
    if (!may_take_over(channel.get())) {
      spdlog::warn("takeover: refused, it came from another user");
      continue;
    }
    successor_ = std::make_unique<Descriptor>(listener_.get_executor(), channel.release());
    const bool taken = co_await serve(*successor_);
    successor_.reset();
    if (!taken) continue;
    // The path is the successor's now: it is not ours to unlink.
    error_code ignored;
    listener_.close(ignored);
    taken_();
    co_return;
  }
}

Awaitable<bool> Predecessor::serve(Descriptor& successor) {
  const int channel = successor.native_handle();
  auto sockets = copy_();
  if (!sockets) {
    spdlog::error("takeover: {}", sockets.error().text);
    co_return false;
  }
  const bool sent = send_message(channel, kHello, {}) && send_sockets(channel, "gateway", sockets->gateway) &&
                    send_sockets(channel, "admin", sockets->admin) && send_message(channel, kEnd, {});
  sockets->gateway.clear();
  sockets->admin.clear();
  if (!sent) {
    spdlog::warn("takeover: cannot send the sockets: {}; going on", why());
    co_return false;
  }
  spdlog::info("takeover: another process has been given the listening sockets and makes itself ready");
  auto [ec] = co_await successor.async_wait(Descriptor::wait_read, kTuple);
  std::vector<Fd> none;
  if (!ec && receive_message(channel, none) == kAccepting) co_return true;
  spdlog::warn("takeover: the other process has gone before it was ready; going on");
  co_return false;
}

// ------------------------------------------------------------------------------------------------- successor

Result<Successor> Successor::connect(const std::string& path) {
  const auto address = address_of(path);
  if (!address) return cannot("connect to", path);
  Successor out;
  out.channel_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const int channel = out.channel_.get();
  const timeval limit{kWait_s, 0};
  ::setsockopt(channel, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(channel, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(channel, plain(*address), sizeof *address) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED)
      return Error{Errc::not_found, "takeover: nobody listens on " + path};
    return cannot("connect to", path);
  }
  for (bool first = true;; first = false) {
    std::vector<Fd> sockets;
    errno = 0;
    const std::string text = receive_message(channel, sockets);
    if (text.empty())
      return Error{Errc::unavailable,
                   "takeover: the process on " + path +
                       (errno == EAGAIN ? " does not answer; is it being taken over already?"
                                        : " gave nothing: its log says why")};
    if (first && text != kHello)
      return Error{Errc::unavailable, "takeover: the process on " + path + " speaks \"" + text +
                                          "\", not \"" + std::string(kHello) +
                                          "\": restart it without --take-over"};
    if (first) continue;
    if (text == kEnd) return out;
    const auto space = text.find(' ');
    const auto endpoint = parse_endpoint(space == std::string::npos ? std::string() : text.substr(space + 1));
    if (!endpoint) return Error{Errc::unavailable, "takeover: cannot read \"" + text + "\" from " + path};
    auto& into = text.substr(0, space) == "admin" ? out.inheritance.admin : out.inheritance.gateway;
    for (Fd& fd : sockets) into.push_back({*endpoint, std::move(fd)});
  }
}

bool Successor::predecessor_gone() const {
  pollfd look{channel_.get(), POLLIN, 0};
  return ::poll(&look, 1, 0) > 0 && (look.revents & (POLLHUP | POLLERR)) != 0;
}

void Successor::say_accepting() {
  send_message(channel_.get(), kAccepting, {});
}

}  // namespace alcove
