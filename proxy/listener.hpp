// Listener: accepts clients on one socket for one worker (SO_REUSEPORT: every worker has its own), within the
// caps on connections, and starts a ClientConn for each; who comes past a cap is told so. Step 1 of the way
// of a request. Owned by worker. Thread: the worker's, but for TlsContext::reload and duplicate(). Fails
// with: Errc::unavailable naming the address (in use, not allowed, not ours).
#pragma once

#include "base/fd.hpp"
#include "base/net.hpp"
#include "base/result.hpp"
#include "config/settings.hpp"

#include <boost/asio/ssl/context.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace alcove::proxy {

class Worker;

// The certificate of one listener. Replaced as a whole on reload: connections keep the one that they began
// with.
class TlsContext {
 public:
  static Result<std::shared_ptr<TlsContext>> load(const TlsFiles& files);
  // Reads the files again; on failure the old certificate stays in use.
  Result<void> reload(const TlsFiles& files);
  std::shared_ptr<asio::ssl::context> current() const;  // any thread

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<asio::ssl::context> context_;
};

// Caps on open connections, in all and per source address, for the whole process. Only touched when one opens
// or closes.
class ConnectionBudget {
 public:
  enum class Verdict : std::uint8_t { granted, too_many, too_many_from_there };
  Verdict enter(const asio::ip::address& address, std::uint32_t most, std::uint32_t most_per_address);
  void leave(const asio::ip::address& address);

 private:
  struct Hash {
    std::size_t operator()(const asio::ip::address& address) const noexcept;
  };
  std::mutex mutex_;
  std::uint32_t all_ = 0;
  std::unordered_map<asio::ip::address, std::uint32_t, Hash> by_address_;
};

class Listener {
 public:
  Listener(Worker& worker, std::shared_ptr<TlsContext> tls);

  Result<void> open(const Endpoint& endpoint);
  Result<void> adopt(ListeningSocket socket);  // one that listens already, from a process before this one
  void start();                                // accepts until close()
  void close();  // who has connected already is still served: the queue is emptied first
  Endpoint endpoint() const { return endpoint_; }
  // The same socket once more, for a process that comes after this one. Any thread, before close().
  Result<ListeningSocket> duplicate() const;
  const std::shared_ptr<TlsContext>& tls() const { return tls_; }

 private:
  Awaitable<void> accepting();
  void prepare();
  int accept_one();
  void admit(Fd socket, const Endpoint& peer);
  void turn_away(Fd socket, ConnectionBudget::Verdict why);

  Worker& worker_;
  std::shared_ptr<TlsContext> tls_;
  Acceptor acceptor_;
  Timer pause_;
  Endpoint endpoint_;
  unsigned turning_away_ = 0;
};

// Is something else listening there? Answered before SO_REUSEPORT would share the port with a stranger.
Result<void> check_free(const Endpoint& endpoint);

}  // namespace alcove::proxy
