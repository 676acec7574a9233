#include "proxy/stream.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

namespace alcove::proxy {

std::string ClientStream::close_notify() {
  std::string out;
  SSL* const ssl = tls_->native_handle();
  if ((SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN) != 0) return out;
  // Asio's end of the pipe is sent only by its own operations: for this one record the engine writes to ours.
  BIO* const asios = SSL_get_wbio(ssl);
  BIO* const ours = BIO_new(BIO_s_mem());
  if (ours == nullptr) return out;
  BIO_up_ref(asios);
  SSL_set0_wbio(ssl, ours);
  SSL_shutdown(ssl);
  ERR_clear_error();
  const char* data = nullptr;
  const long size = BIO_get_mem_data(ours, &data);
  if (size > 0) out.assign(data, static_cast<std::size_t>(size));
  SSL_set0_wbio(ssl, asios);
  return out;
}

}  // namespace alcove::proxy
