// HttpThread: libcurl's multi interface on a thread of its own. Knows HTTP and TLS and nothing of Kubernetes.
// Called by: api_client. Thread: begin() and close() on the executor's; its own is started by the constructor
// and ended by the destructor. Owns: the connections, and an exchange from begin() to its end. The io_context
// outlives it. Fails: in the exchange, as that says; the constructor throws std::runtime_error if libcurl
// cannot start.
//
// HTTP/1.1 on purpose: each watch has a connection of its own, so that one that has died without a word is
// given up with the one exchange on it. With HTTP/2 all would hang on it together, and libcurl 7.88 goes on
// using it. Calls that are not streamed are at most kCallsAtOnce; more of them wait their turn.
#pragma once

#include "base/net.hpp"
#include "k8s/http_exchange.hpp"

#include <memory>
#include <string>
#include <thread>

namespace alcove::k8s {

struct HttpTls {
  std::string ca;           // PEM; empty: the system's
  std::string certificate;  // PEM, of the client; empty: none
  std::string key;
  bool verify = true;
};

struct HttpWay {
  HttpTls tls;
  std::string proxy;       // empty: none, whatever the environment says
  std::string connect_to;  // "host:port" that is really dialled, when the URL names another; empty: the URL's
};

class HttpThread {
 public:
  static constexpr std::size_t kCallsAtOnce = 16;

  HttpThread(Executor executor, HttpWay way);
  ~HttpThread();
  HttpThread(const HttpThread&) = delete;
  HttpThread& operator=(const HttpThread&) = delete;

  std::shared_ptr<HttpExchange> begin(HttpOrder order);
  // Cancels all that is under way and all that is still to come.
  void close();

 private:
  class Work;  // what lives on the thread

  Executor executor_;
  std::shared_ptr<Work> work_;
  std::thread thread_;
};

}  // namespace alcove::k8s
