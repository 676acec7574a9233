#include "proxy/poller.hpp"

#include "proxy/polled_socket.hpp"

#include <boost/asio/post.hpp>

#include <cerrno>

namespace alcove::proxy {
namespace {

int make_epoll() {
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) throw boost::system::system_error(errno, boost::system::system_category(), "epoll_create1");
  return fd;
}

}  // namespace

bool ReadinessAwaiter::await_ready() const noexcept {
  if (ready_) return true;
  return to_write_ ? socket_.writable_ : socket_.readable_ && socket_.poller_.may_read();
}

void ReadinessAwaiter::await_suspend(std::coroutine_handle<> waiting) {
  waiting_ = waiting;
  ReadinessAwaiter*& first = to_write_ ? socket_.writers_ : socket_.readers_;
  next_ = first;
  first = this;
  socket_.poller_.began_to_wait();
  if (!to_write_ && socket_.readable_) socket_.poller_.wake_after_others(socket_);
  if (const error_code ec = socket_.ensure_watched(to_write_)) socket_.give_up(ec);
}

Poller::Poller(asio::io_context& io) : io_(io), epoll_(io.get_executor(), make_epoll()) {}

error_code Poller::watch(PolledSocket& socket, std::uint32_t events, bool anew) {
  epoll_event event{};
  event.events = events | EPOLLET;
  event.data.ptr = &socket;
  if (::epoll_ctl(epoll_.native_handle(), anew ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket.fd(), &event) == 0)
    return {};
  return {errno, boost::system::system_category()};
}

void Poller::forget(PolledSocket& socket) {
  for (int i = next_event_; i < event_count_; ++i)
    if (events_[static_cast<std::size_t>(i)].data.ptr == &socket)
      events_[static_cast<std::size_t>(i)].data.ptr = nullptr;
  std::erase(after_others_, &socket);
}

void Poller::began_to_wait() {
  ++waiting_;
  if (!armed_ && !in_turn_) arm();
}

void Poller::ceased_to_wait() {
  --waiting_;
  disarm_if_idle();
}

// Only while somebody waits, so that the io_context can run out of work.
void Poller::arm() {
  armed_ = true;
  epoll_.async_wait(asio::posix::descriptor_base::wait_read, [this](const error_code& ec) {
    armed_ = false;
    if (!ec) return turn();
    if (waiting_ > 0) arm();
  });
}

void Poller::disarm_if_idle() {
  error_code ignored;
  if (waiting_ == 0 && armed_) epoll_.cancel(ignored);
}

void Poller::turn() {
  in_turn_ = true;
  bool more = false;
  for (int round = 0; round < kRounds; ++round) {
    event_count_ = ::epoll_wait(epoll_.native_handle(), events_.data(), kBatch, 0);
    for (next_event_ = 0; next_event_ < event_count_;) {
      const epoll_event& event = events_[static_cast<std::size_t>(next_event_++)];
      if (event.data.ptr == nullptr) continue;
      dispatch(*static_cast<PolledSocket*>(event.data.ptr), event.events);
      run_ready();
    }
    more = event_count_ >= kManyEvents;
    if (!more) break;
  }
  next_event_ = event_count_ = 0;
  in_turn_ = false;
  if (waiting_ == 0 || armed_) return;
  if (!more) return arm();
  armed_ = true;
  asio::post(io_, [this] {
    armed_ = false;
    turn();
  });
}

void Poller::dispatch(PolledSocket& socket, std::uint32_t events) {
  constexpr std::uint32_t kEnded = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  if ((events & kEnded) != 0) {
    socket.ended_ = true;
    if (std::exchange(socket.end_awaited_, false)) {
      --waiting_;
      socket.end_listener_->on_end();
    }
  }
  if ((events & (EPOLLIN | kEnded)) != 0) {
    socket.readable_ = true;
    append(std::exchange(socket.readers_, nullptr));
  }
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
    socket.writable_ = true;
    append(std::exchange(socket.writers_, nullptr));
  }
}

void Poller::append(ReadinessAwaiter* first) {
  if (first == nullptr) return;
  *ready_end_ = first;
  for (ReadinessAwaiter* r = first; r != nullptr; r = r->next_) {
    --waiting_;
    ready_end_ = &r->next_;
  }
}

void Poller::run_ready() {
  while (ready_ != nullptr) {
    ReadinessAwaiter* const readiness = ready_;
    ready_ = readiness->next_;
    if (ready_ == nullptr) ready_end_ = &ready_;
    reads_left_ = kReads;
    readiness->waiting_.resume();
  }
}

// By way of the io_context, so that all that is due comes before.
void Poller::wake_after_others(PolledSocket& socket) {
  after_others_.push_back(&socket);
  post_ready();
}

void Poller::resume_later(ReadinessAwaiter* first) {
  append(first);
  if (ready_ != nullptr) post_ready();
}

void Poller::post_ready() {
  if (std::exchange(posted_, true)) return;
  asio::post(io_, [this] {
    posted_ = false;
    for (PolledSocket* const one : std::exchange(after_others_, {}))
      append(std::exchange(one->readers_, nullptr));
    run_ready();
    disarm_if_idle();
  });
}

}  // namespace alcove::proxy
