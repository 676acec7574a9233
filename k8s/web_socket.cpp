#include "k8s/web_socket.hpp"

#include "base/event.hpp"
#include "base/text.hpp"
#include "base/time.hpp"

#include <boost/asio/ip/basic_resolver.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <fmt/format.h>
#include <openssl/x509_vfy.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace alcove::k8s {
namespace {

namespace ssl = asio::ssl;
namespace websocket = boost::beast::websocket;
namespace http = boost::beast::http;
using Secure = ssl::stream<Socket>;
using Resolver = asio::ip::basic_resolver<tcp, Executor>;

constexpr int kSilentPeerMs = 30'000;  // while it opens; as HttpThread's
// Once it is open. A peer that is alive but takes nothing for a while counts as silent for this.
constexpr int kFullPeerMs = 300'000;

struct Address {
  std::string host;        // an IPv6 address without its brackets
  std::uint16_t port = 0;  // 0: none that is one
};

Address address_of(std::string_view authority, std::uint16_t usual_port) {
  const std::size_t colon = authority.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
  std::string_view host = authority.substr(0, has_port ? colon : authority.size());
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  Address out{std::string(host), usual_port};
  if (!has_port) return out;
  const char* const end = authority.data() + authority.size();
  const auto [at, bad] = std::from_chars(authority.data() + colon + 1, end, out.port);
  if (bad != std::errc{} || at != end) out.port = 0;
  return out;
}

struct Place {
  bool secure = false;
  std::string authority;  // "host:port", as the URL has it
  std::string target;
  Address named;  // that the certificate must have
  Address dialled;
};

std::optional<Place> place_of(std::string_view url, const HttpWay& way) {
  Place out;
  out.secure = url.starts_with("https://");
  if (!out.secure && !url.starts_with("http://")) return std::nullopt;
  url.remove_prefix(url.find("://") + 3);
  const std::size_t slash = std::min(url.find('/'), url.size());
  out.authority = url.substr(0, slash);
  out.target = slash == url.size() ? "/" : url.substr(slash);
  out.named = address_of(out.authority, out.secure ? 443 : 80);
  out.dialled = way.connect_to.empty() ? out.named : address_of(way.connect_to, out.named.port);
  if (out.named.host.empty() || out.named.port == 0 || out.dialled.port == 0) return std::nullopt;
  return out;
}

Result<std::shared_ptr<ssl::context>> context_of(const HttpTls& tls) {
  auto out = std::make_shared<ssl::context>(ssl::context::tls_client);
  error_code ec;
  if (tls.ca.empty()) {
    out->set_default_verify_paths(ec);
  } else {
    out->add_certificate_authority(asio::buffer(tls.ca), ec);
  }
  if (!ec && !tls.certificate.empty()) out->use_certificate_chain(asio::buffer(tls.certificate), ec);
  if (!ec && !tls.key.empty()) out->use_private_key(asio::buffer(tls.key), ssl::context::pem, ec);
  if (!ec) out->set_verify_mode(tls.verify ? ssl::verify_peer : ssl::verify_none, ec);
  // As libcurl does it for all other calls: a CA that is trusted need not be a root.
  if (tls.verify)
    X509_STORE_set_flags(SSL_CTX_get_cert_store(out->native_handle()), X509_V_FLAG_PARTIAL_CHAIN);
  if (ec) return Error{Errc::invalid, "a certificate or a key that is none: " + ec.message()};
  return out;
}

// `Next`: Socket or Secure.
template <class Next>
class Connection final : public WebSocket, public std::enable_shared_from_this<Connection<Next>> {
 public:
  // `tls`: empty for a Socket.
  Connection(Executor executor, std::shared_ptr<ssl::context> tls, Next next, Place place, HttpOrder order,
             std::string protocols, Millis ping_each)
      : executor_(executor),
        tls_(std::move(tls)),
        resolver_(executor),
        changed_(executor),
        ping_timer_(executor),
        stream_(std::move(next)),
        place_(std::move(place)),
        order_(std::move(order)),
        offered_(std::move(protocols)),
        ping_each_(ping_each) {}

  Awaitable<Result<HttpAnswer>> open() override {
    opening_ = true;
    deadline_ = SteadyClock::now() + order_.timeout;
    Timer deadline(executor_, deadline_);
    deadline.async_wait([weak = this->weak_from_this()](error_code ec) {
      const auto self = weak.lock();
      if (ec || !self || !self->opening_) return;
      self->late_ = true;
      self->shut();
    });
    const error_code connected = co_await connect();
    if (connected) co_return why(connected);
    set_options();
    websocket::response_type response;
    auto [ec] = co_await stream_.async_handshake(response, place_.authority, place_.target, kTuple);
    opening_ = false;
    // It may have been given up just when the answer was there.
    if (late_ || cancelled_) co_return why(asio::error::operation_aborted);
    if (ec == websocket::error::upgrade_declined) {
      shut();
      co_return HttpAnswer{static_cast<int>(response.result_int()), std::move(response.body()), std::nullopt};
    }
    if (ec) co_return why(ec);
    protocol_ = response[http::field::sec_websocket_protocol];
    set(IPPROTO_TCP, TCP_USER_TIMEOUT, kFullPeerMs);
    ping_later();
    co_return HttpAnswer{kOpened, {}, std::nullopt};
  }

  Awaitable<Result<std::string>> read() override {
    reading_ = true;
    auto [ec, size] = co_await stream_.async_read(unread_, kTuple);
    reading_ = false;
    if (ec) co_return why(ec);
    std::string message = boost::beast::buffers_to_string(unread_.data());
    unread_.consume(size);
    co_return message;
  }

  Awaitable<Result<void>> write(std::string message) override {
    auto [ec, size] = co_await stream_.async_write(asio::buffer(message), kTuple);
    if (ec) co_return why(ec);
    co_return Result<void>{};
  }

  void cancel() override {
    cancelled_ = true;
    shut();
  }
  const std::string& protocol() const override { return protocol_; }

 private:
  Socket& socket() { return boost::beast::get_lowest_layer(stream_); }

  Awaitable<error_code> connect() {
    const error_code not_found = co_await find();
    if (not_found) co_return not_found;
    const error_code refused = co_await dial();
    if (refused) co_return refused;
    watch_peer();
    if constexpr (std::is_same_v<Next, Secure>) {
      auto [failed] = co_await stream_.next_layer().async_handshake(ssl::stream_base::client, kTuple);
      co_return failed;
    }
    co_return error_code{};
  }

  Awaitable<error_code> find() {
    const Address& dialled = place_.dialled;
    error_code not_an_address;
    const auto address = asio::ip::make_address(dialled.host, not_an_address);
    if (!not_an_address) {
      found_.emplace_back(address, dialled.port);
      co_return error_code{};
    }
    // The look-up of a name cannot be broken off. So it is not awaited, but `changed_`, which the deadline
    // and cancel() notify too; what is found after that is for nobody.
    resolver_.async_resolve(dialled.host, std::to_string(dialled.port),
                            [self = this->shared_from_this()](error_code ec, Resolver::results_type found) {
                              for (const auto& entry : found) self->found_.push_back(entry.endpoint());
                              self->not_found_ = ec;
                              self->looked_up_ = true;
                              self->changed_.notify();
                            });
    while (!looked_up_ && !late_ && !cancelled_) co_await changed_.wait();
    if (late_ || cancelled_) co_return asio::error::operation_aborted;
    co_return not_found_;
  }

  // One address after the other. Each but the last has half of the time that is left, so that those after one
  // that does not answer have their turn.
  Awaitable<error_code> dial() {
    for (std::size_t at = 0;; ++at) {
      const bool last = at + 1 == found_.size();
      const SteadyTime now = SteadyClock::now();
      Timer limit(executor_, now + (deadline_ - now) / 2);
      if (!last)
        limit.async_wait([weak = this->weak_from_this(), at](error_code ec) {
          const auto self = weak.lock();
          if (!ec && self && self->dialling_ == at) self->socket().close(ec);
        });
      dialling_ = at;
      auto [ec] = co_await socket().async_connect(found_[at], kTuple);
      dialling_.reset();
      if (late_ || cancelled_) co_return asio::error::operation_aborted;
      // The limit may have closed it just when it was connected.
      if (!ec && !socket().is_open()) ec = asio::error::timed_out;
      if (!ec || last) co_return ec;
      socket().close(ec);
    }
  }

  void set(int level, int name, int value) {
    ::setsockopt(socket().native_handle(), level, name, &value, sizeof value);
  }

  // As HttpThread's connections: a peer that has gone without a word is noticed.
  void watch_peer() {
    set(IPPROTO_TCP, TCP_NODELAY, 1);
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, 15);
    set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
    set(IPPROTO_TCP, TCP_USER_TIMEOUT, kSilentPeerMs);
  }

  // One at a time, and only while somebody reads: a ping to a server that has closed is answered with a
  // reset, which throws away the output that nobody has read yet. Not Beast's keep_alive_pings: those end a
  // connection whose other side is late with its answer.
  void ping_later() {
    ping_timer_.expires_after(ping_each_);
    ping_timer_.async_wait([weak = this->weak_from_this()](error_code ec) {
      const auto self = weak.lock();
      if (ec || !self || !self->socket().is_open()) return;
      if (!self->reading_) {
        self->ping_later();
        return;
      }
      self->stream_.async_ping({}, [self](error_code failed) {
        if (!failed) self->ping_later();
      });
    });
  }

  void set_options() {
    stream_.binary(true);
    // A message is one frame: API servers take each frame for a message.
    stream_.auto_fragment(false);
    stream_.read_message_max(kMostMessage);
    stream_.set_option(websocket::stream_base::decorator([this](websocket::request_type& request) {
      for (const std::string& header : order_.headers) {
        const std::size_t colon = header.find(": ");
        request.set(header.substr(0, colon), header.substr(colon + 2));
      }
      request.set(http::field::user_agent, "alcove");
      request.set(http::field::sec_websocket_protocol, offered_);
    }));
  }

  void shut() {
    error_code ignored;
    resolver_.cancel();
    ping_timer_.cancel();
    socket().close(ignored);
    changed_.notify();
  }

  Error why(error_code ec) {
    opening_ = false;
    if (cancelled_) return {Errc::cancelled, "the call was given up"};
    if (late_) return {Errc::timeout, fmt::format("no WebSocket within {} ms", order_.timeout.count())};
    shut();
    if (ec == websocket::error::message_too_big || ec == websocket::error::buffer_overflow)
      return {Errc::limit, "a message is too long"};
    if (ec == websocket::error::closed)
      return {Errc::unavailable,
              fmt::format("it was closed: {}", printable(stream_.reason().reason.c_str(), 123))};
    return {Errc::unavailable, ec.message()};
  }

  Executor executor_;
  std::shared_ptr<ssl::context> tls_;  // before the stream that uses it
  Resolver resolver_;
  Event changed_;  // looked up, late or cancelled
  Timer ping_timer_;
  websocket::stream<Next> stream_;
  boost::beast::flat_buffer unread_;
  Place place_;
  HttpOrder order_;
  std::string offered_;
  std::string protocol_;
  Millis ping_each_;
  SteadyTime deadline_;
  std::vector<tcp::endpoint> found_;
  std::optional<std::size_t> dialling_;  // of `found_`
  error_code not_found_;
  bool looked_up_ = false;
  bool reading_ = false;
  bool opening_ = false;
  bool late_ = false;
  bool cancelled_ = false;
};

bool is_address(const std::string& host) {
  error_code ec;
  asio::ip::make_address(host, ec);
  return !ec;
}

}  // namespace

Result<std::shared_ptr<WebSocket>> make_web_socket(Executor executor, const HttpWay& way, HttpOrder order,
                                                   std::string protocols, Millis ping_each) {
  std::optional<Place> place = place_of(order.url, way);
  if (!place) return Error{Errc::invalid, "not a URL of http or https: " + order.url};
  if (!way.proxy.empty())
    return Error{Errc::invalid, "a terminal does not go through a proxy, as proxy-url asks for"};
  std::shared_ptr<WebSocket> out;
  if (!place->secure) {
    out = std::make_shared<Connection<Socket>>(executor, nullptr, Socket(executor), std::move(*place),
                                               std::move(order), std::move(protocols), ping_each);
    return out;
  }
  const Result<std::shared_ptr<ssl::context>> tls = context_of(way.tls);
  if (!tls) return tls.error();
  Secure next(Socket(executor), **tls);
  const std::string& host = place->named.host;
  if (way.tls.verify) next.set_verify_callback(ssl::host_name_verification(host));
  // SSL_set_tlsext_host_name, without its cast. OpenSSL copies the name.
  if (!is_address(host))
    SSL_ctrl(next.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
             const_cast<char*>(host.c_str()));
  out = std::make_shared<Connection<Secure>>(executor, *tls, std::move(next), std::move(*place),
                                             std::move(order), std::move(protocols), ping_each);
  return out;
}

}  // namespace alcove::k8s
