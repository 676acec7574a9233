// TlsSession: the TLS engine (OpenSSL) of one client connection, reading and writing through its
// PolledSocket. Everything here returns at once. Used by stream. Thread: the worker's.
#pragma once

#include "proxy/polled_socket.hpp"

#include <boost/asio/ssl/context.hpp>

#include <cstddef>
#include <memory>

namespace alcove::proxy {

class TlsSession {
 public:
  // What the sessions of a context need of it.
  static void prepare(asio::ssl::context& context);

  TlsSession(PolledSocket& socket, asio::ssl::context& context);
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // What the engine could do. would_block: when the socket is ready for what wants_write() says, try again,
  // with the same bytes if it was a write. eof: the client's close_notify, or the end of its stream.
  error_code try_handshake();
  std::size_t try_read(char* data, std::size_t size, error_code& ec);
  std::size_t try_write(const Gather& parts, error_code& ec);
  // Says that nothing more will be sent (close_notify, RFC 8446 6.1). Reading can go on.
  error_code try_close_notify();

  // The last read has left something that can be read without the socket.
  bool pending() const { return pending_; }
  bool wants_write() const { return wants_write_; }

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  struct Bio;  // how the engine reaches the socket
  friend struct Bio;
  error_code outcome(int result);

  PolledSocket& socket_;
  std::unique_ptr<SSL, Free> ssl_;
  error_code socket_error_;  // what ended the last read or write of the socket
  bool wants_write_ = false;
  bool pending_ = false;
};

}  // namespace alcove::proxy
