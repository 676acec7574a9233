// Gateway: the data plane as one thing: its listeners and its workers. Made and owned by alcove/.
// Thread: any, except where said; the workers have their own.
// Fails with: start() names the address that cannot be listened on, or the TLS file that cannot be used.
#pragma once

#include "base/endpoint.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"
#include "config/settings.hpp"
#include "proxy/access_log.hpp"
#include "proxy/metrics.hpp"
#include "store/store.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace alcove::proxy {

class TlsContext;
class Worker;
struct Shared;

class Gateway {
 public:
  using StoreFactory =
      std::function<std::unique_ptr<Store>(asio::io_context&)>;  // once per worker, on its io_context

  // `access_log` may be nullptr; it outlives the gateway.
  Gateway(SettingsPtr settings, StoreFactory factory, AccessLogWriter* access_log);
  ~Gateway();

  // Binds every listener and starts the workers. `inherited`: sockets that listen already, taken over from a
  // process before this one; used where their address is one of ours, closed where it is not.
  Result<void> open(std::vector<ListeningSocket> inherited);
  void accept();         // after open(): clients may come
  Result<void> start();  // both, without an inheritance
  void reload(
      SettingsPtr settings);  // also reads the TLS files again; a bad one is logged and the old one kept
  // The listening sockets once more, for a process that comes after this one. Before drain() and hand_over().
  Result<std::vector<ListeningSocket>> listening_sockets() const;
  void drain();        // not ready any more; ends by itself when all is done, timeouts.drain at the latest
  void hand_over();    // the same for one that has a successor: no need to accept for a while longer
  void stop();         // the hard end
  void join();         // waits for the workers to have ended
  bool ready() const;  // accepting, and every worker has heard from the store lately
  std::vector<Endpoint> endpoints() const;
  std::vector<std::shared_ptr<const WorkerMetrics>> metrics() const;

 private:
  Result<void> listen_at(std::size_t index, std::vector<ListeningSocket> inherited);

  SettingsPtr settings_;
  StoreFactory factory_;
  AccessLogWriter* access_log_;
  std::unique_ptr<Shared> shared_;
  std::vector<std::shared_ptr<TlsContext>> tls_;  // one per listener, nullptr: plain
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Endpoint> endpoints_;
};

}  // namespace alcove::proxy
