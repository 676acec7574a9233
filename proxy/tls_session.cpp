#include "proxy/tls_session.hpp"

#include <boost/asio/ssl/error.hpp>
#include <openssl/bio.h>
#include <openssl/err.h>

#include <array>
#include <cstring>
#include <new>

namespace alcove::proxy {
namespace {

constexpr std::size_t kRecord = 16 * 1024;  // RFC 8446 5.1: the most that one record carries

}  // namespace

// OpenSSL's own socket BIO would read to find nothing where the poller knows that nothing is there.
struct TlsSession::Bio {
  static TlsSession& session(BIO* bio) { return *static_cast<TlsSession*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* data, std::size_t size, std::size_t* got) {
    TlsSession& self = session(bio);
    BIO_clear_retry_flags(bio);
    *got = self.socket_.try_read(data, size, self.socket_error_);
    if (self.socket_error_ == asio::error::would_block) BIO_set_retry_read(bio);
    return *got > 0 ? 1 : 0;
  }
  static int write(BIO* bio, const char* data, std::size_t size, std::size_t* sent) {
    TlsSession& self = session(bio);
    BIO_clear_retry_flags(bio);
    *sent = self.socket_.try_write(std::string_view(data, size), self.socket_error_);
    if (self.socket_error_ == asio::error::would_block) BIO_set_retry_write(bio);
    return *sent > 0 ? 1 : 0;
  }
  static long control(BIO*, int what, long, void*) { return what == BIO_CTRL_FLUSH ? 1 : 0; }

  static BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* const m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "polled socket");
      if (m == nullptr) throw std::bad_alloc();
      BIO_meth_set_read_ex(m, read);
      BIO_meth_set_write_ex(m, write);
      BIO_meth_set_ctrl(m, control);
      return m;
    }();
    return made;
  }
};

// Reading ahead: a record costs one read and not one for its header and one for the rest. Idle sessions hold
// no buffers.
void TlsSession::prepare(asio::ssl::context& context) {
  SSL_CTX* const native = context.native_handle();
  SSL_CTX_set_read_ahead(native, 1);
  SSL_CTX_set_mode(
      native, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

TlsSession::TlsSession(PolledSocket& socket, asio::ssl::context& context)
    : socket_(socket), ssl_(SSL_new(context.native_handle())) {
  BIO* const bio = BIO_new(Bio::method());
  if (ssl_ == nullptr || bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_accept_state(ssl_.get());
}

// `result`: of an SSL_* function that has failed. The error queue was empty before it was called.
error_code TlsSession::outcome(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      wants_write_ = false;
      return asio::error::would_block;
    case SSL_ERROR_WANT_WRITE:
      wants_write_ = true;
      return asio::error::would_block;
    case SSL_ERROR_ZERO_RETURN:
      return asio::error::eof;
    case SSL_ERROR_SSL:
      return {static_cast<int>(ERR_get_error()), asio::error::get_ssl_category()};
    default:
      // After a broken record OpenSSL refuses to go on without a look at the socket, whose last error then
      // says nothing: it must not pass for a success or for something to wait for.
      if (!socket_error_ || socket_error_ == asio::error::would_block) return asio::error::connection_aborted;
      return socket_error_;
  }
}

error_code TlsSession::try_handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  pending_ = result == 1 && SSL_has_pending(ssl_.get()) != 0;  // the first request may have come along
  return result == 1 ? error_code{} : outcome(result);
}

std::size_t TlsSession::try_read(char* data, std::size_t size, error_code& ec) {
  ERR_clear_error();
  std::size_t n = 0;
  const int result = SSL_read_ex(ssl_.get(), data, size, &n);
  ec = result == 1 ? error_code{} : outcome(result);
  // After a read that would block it may hold part of a record, which nobody can read yet.
  pending_ = result == 1 && SSL_has_pending(ssl_.get()) != 0;
  return result == 1 ? n : 0;
}

std::size_t TlsSession::try_write(const Gather& parts, error_code& ec) {
  ERR_clear_error();
  const void* data = parts.data()->iov_base;
  std::size_t size = parts.data()->iov_len;
  std::array<char, kRecord> whole;
  if (parts.count() > 1 && size < kRecord) {
    // One record for all that fits into one: what each costs is more than to copy it.
    size = 0;
    for (std::size_t i = 0; i < parts.count() && size < kRecord; ++i) {
      const std::size_t step = std::min(parts.data()[i].iov_len, kRecord - size);
      std::memcpy(whole.data() + size, parts.data()[i].iov_base, step);
      size += step;
    }
    data = whole.data();
  }
  std::size_t n = 0;
  const int result = SSL_write_ex(ssl_.get(), data, size, &n);
  ec = result == 1 ? error_code{} : outcome(result);
  return result == 1 ? n : 0;
}

error_code TlsSession::try_close_notify() {
  if ((SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) != 0) return {};
  ERR_clear_error();
  const int result = SSL_shutdown(ssl_.get());
  return result >= 0 ? error_code{} : outcome(result);
}

}  // namespace alcove::proxy
