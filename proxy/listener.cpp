#include "proxy/listener.hpp"

#include "base/log.hpp"
#include "proxy/client_conn.hpp"
#include "proxy/respond.hpp"
#include "proxy/worker.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace alcove::proxy {
namespace {

constexpr Millis kPauseWhenOutOfFiles{100};
constexpr int kBacklog = 4096;
constexpr int kAcceptedAtOnce = 64;       // then whoever is connected already has a turn
constexpr unsigned kMostTurnedAway = 64;  // at once; past it a connection is closed without a word
constexpr Millis kTurnAwayLinger{1'000};

Error cannot_listen(const Endpoint& endpoint, const error_code& ec) {
  std::string text = "cannot listen on " + to_string(endpoint) + ": " + ec.message();
  if (ec == asio::error::address_in_use)
    text += "; another program has this port (ss -ltnp shows which): stop it, or choose another address";
  else if (ec == asio::error::access_denied)
    text += "; ports below 1024 need root or CAP_NET_BIND_SERVICE";
  return {Errc::unavailable, std::move(text)};
}

asio::ip::address plain_address(const asio::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  return address;
}

// Until the other side has ended or `limit` is over.
Awaitable<void> read_to_end(Worker& worker, Fd of_client, Millis limit) {
  const auto socket = std::make_shared<PolledSocket>(worker.poller, std::move(of_client));
  Timer timer(worker.io.get_executor(), limit);
  timer.async_wait([socket](const error_code& ec) {
    if (!ec) socket->cancel();
  });
  std::array<char, 512> dropped;
  error_code ec;
  while (!ec) {
    socket->try_read(dropped.data(), dropped.size(), ec);
    if (ec == asio::error::would_block) ec = co_await socket->wait_readable();
  }
  socket->close();
}

}  // namespace

Result<std::shared_ptr<TlsContext>> TlsContext::load(const TlsFiles& files) {
  auto made = std::make_shared<TlsContext>();
  if (auto loaded = made->reload(files); !loaded) return loaded.error();
  return made;
}

Result<void> TlsContext::reload(const TlsFiles& files) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  const auto problem = [](const std::string& file, const error_code& ec) {
    return Error{Errc::invalid, "TLS: " + file + ": " + ec.message()};
  };
  error_code ec;
  context->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                           asio::ssl::context::no_tlsv1_1 | asio::ssl::context::single_dh_use,
                       ec);
  context->use_certificate_chain_file(files.certificate, ec);
  if (ec) return problem(files.certificate, ec);
  context->use_private_key_file(files.key, asio::ssl::context::pem, ec);
  if (ec) return problem(files.key, ec);
  SSL_CTX* const native = context->native_handle();
  if (SSL_CTX_check_private_key(native) != 1)
    return Error{Errc::invalid,
                 "TLS: the key " + files.key + " does not belong to the certificate " + files.certificate};
  TlsSession::prepare(*context);
  static constexpr unsigned char kHttp11[] = "\x08http/1.1";
  SSL_CTX_set_alpn_select_cb(
      native,
      [](SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned in_size,
         void*) {
        unsigned char* chosen = nullptr;
        if (SSL_select_next_proto(&chosen, out_size, kHttp11, sizeof kHttp11 - 1, in, in_size) !=
            OPENSSL_NPN_NEGOTIATED)
          return SSL_TLSEXT_ERR_NOACK;
        *out = chosen;
        return SSL_TLSEXT_ERR_OK;
      },
      nullptr);
  const std::lock_guard lock(mutex_);
  context_ = std::move(context);
  return {};
}

std::shared_ptr<asio::ssl::context> TlsContext::current() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

std::size_t ConnectionBudget::Hash::operator()(const asio::ip::address& address) const noexcept {
  return std::hash<asio::ip::address>{}(address);
}

ConnectionBudget::Verdict ConnectionBudget::enter(const asio::ip::address& address, std::uint32_t most,
                                                  std::uint32_t most_per_address) {
  const std::lock_guard lock(mutex_);
  if (all_ >= most) return Verdict::too_many;
  std::uint32_t& mine = by_address_[address];
  if (mine >= most_per_address) return Verdict::too_many_from_there;
  ++mine;
  ++all_;
  return Verdict::granted;
}

void ConnectionBudget::leave(const asio::ip::address& address) {
  const std::lock_guard lock(mutex_);
  const auto found = by_address_.find(address);
  if (found == by_address_.end()) return;
  --all_;
  if (--found->second == 0) by_address_.erase(found);
}

// SO_REUSEPORT would share the port with whoever of this user listens there already: ask first, without it.
Result<void> check_free(const Endpoint& endpoint) {
  if (endpoint.port() == 0) return {};
  asio::io_context io;
  Acceptor probe(io.get_executor());
  error_code ec;
  probe.open(endpoint.protocol(), ec);
  if (!ec) probe.set_option(Acceptor::reuse_address(true), ec);
  if (!ec) probe.bind(endpoint, ec);
  if (!ec) probe.listen(1, ec);
  if (ec) return cannot_listen(endpoint, ec);
  return {};
}

Listener::Listener(Worker& worker, std::shared_ptr<TlsContext> tls)
    : worker_(worker),
      tls_(std::move(tls)),
      acceptor_(worker.io.get_executor()),
      pause_(worker.io.get_executor()) {}

Result<void> Listener::open(const Endpoint& endpoint) {
  using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
  using V6Only = asio::detail::socket_option::boolean<IPPROTO_IPV6, IPV6_V6ONLY>;
  error_code ec;
  acceptor_.open(endpoint.protocol(), ec);
  if (!ec) acceptor_.set_option(Acceptor::reuse_address(true), ec);
  if (!ec) acceptor_.set_option(ReusePort(true), ec);
  if (!ec && endpoint.protocol() == tcp::v6()) acceptor_.set_option(V6Only(false), ec);
  if (!ec) acceptor_.bind(endpoint, ec);
  if (!ec) acceptor_.listen(kBacklog, ec);
  if (ec) return cannot_listen(endpoint, ec);
  prepare();
  return {};
}

Result<void> Listener::adopt(ListeningSocket socket) {
  error_code ec;
  acceptor_.assign(socket.endpoint.protocol(), socket.fd.get(), ec);
  if (ec)
    return Error{Errc::unavailable,
                 "cannot take over the socket of " + to_string(socket.endpoint) + ": " + ec.message()};
  socket.fd.release();
  prepare();
  return {};
}

// What accepted sockets inherit is set once and not for each of them.
void Listener::prepare() {
  error_code ignored;
  acceptor_.set_option(tcp::no_delay(true), ignored);
  acceptor_.non_blocking(true, ignored);
  endpoint_ = acceptor_.local_endpoint(ignored);
}

Result<ListeningSocket> Listener::duplicate() const {
  // What Asio calls the native handle is not const, though asking for it changes nothing.
  const int copy = ::fcntl(const_cast<Acceptor&>(acceptor_).native_handle(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return Error{Errc::unavailable, "cannot duplicate a socket: " + std::string(strerror(errno))};
  return ListeningSocket{endpoint_, Fd(copy)};
}

void Listener::start() {
  launch(worker_.io.get_executor(), accepting());
}

void Listener::close() {
  if (!acceptor_.is_open()) return;
  while (accept_one() == 0) {
  }
  error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
}

// 0, or what is wrong: EAGAIN if nobody waits to be accepted.
int Listener::accept_one() {
  Endpoint peer;
  auto size = static_cast<socklen_t>(peer.capacity());
  Fd socket(::accept4(acceptor_.native_handle(), peer.data(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket) return errno;
  peer.resize(size);
  admit(std::move(socket), peer);
  return 0;
}

Awaitable<void> Listener::accepting() {
  while (acceptor_.is_open()) {
    auto [ec] = co_await acceptor_.async_wait(Acceptor::wait_read, kTuple);
    if (!acceptor_.is_open()) break;
    int problem = ec ? ec.value() : 0;
    for (int i = 0; i < kAcceptedAtOnce && problem == 0; ++i) problem = accept_one();
    // Who has gone again before we came is nothing that we could do about.
    if (problem == 0 || problem == EAGAIN || problem == EINTR || problem == ECONNABORTED) continue;
    // Clients wait in the backlog until others have gone: better than spinning here.
    spdlog::error("cannot accept on {}: {}; trying again", to_string(endpoint_), std::strerror(problem));
    pause_.expires_after(kPauseWhenOutOfFiles);
    co_await pause_.async_wait(kTuple);
  }
}

void Listener::admit(Fd socket, const Endpoint& peer) {
  const asio::ip::address address = plain_address(peer.address());
  const LimitSettings& limits = worker_.settings->limits;
  const auto verdict =
      worker_.shared.connections.enter(address, limits.connections, limits.connections_per_address);
  if (verdict != ConnectionBudget::Verdict::granted) return turn_away(std::move(socket), verdict);
  worker_.opened();
  std::shared_ptr<asio::ssl::context> tls = tls_ != nullptr ? tls_->current() : nullptr;
  launch(worker_.io.get_executor(),
         ClientConn::serve(worker_, std::move(socket), std::move(tls), address, endpoint_.port()));
}

// Says why, where that costs no handshake, and reads on for a moment so that a reset does not overtake the
// answer (rule 24). Bounded itself: a cap that could be used to fill us would be none.
void Listener::turn_away(Fd socket, ConnectionBudget::Verdict why) {
  const bool all = why == ConnectionBudget::Verdict::too_many;
  const Limit limit = all ? Limit::connections : Limit::connections_per_address;
  worker_.metrics.met(limit);
  if (tls_ != nullptr || turning_away_ >= kMostTurnedAway) return;
  const Failure failure{
      limit,
      Side::client,
      Phase::head,
      all ? 503 : 429,
      all ? "too many connections are open here" : "too many connections come from your address",
      2};
  const std::array<char, 16> id = worker_.next_request_id();
  ReplyContext context;
  context.request_id = {id.data(), id.size()};
  context.keep_alive = false;
  std::string text;
  write_reply(error_reply(failure, context), context, text);
  if (::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0) return;
  ::shutdown(socket.get(), SHUT_WR);
  ++turning_away_;
  launch(worker_.io.get_executor(), read_to_end(worker_, std::move(socket), kTurnAwayLinger),
         [this](const std::exception_ptr&) { --turning_away_; });
}

}  // namespace alcove::proxy
