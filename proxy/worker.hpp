// Worker: one thread with everything that it needs for itself: io_context, acceptors, store, route cache,
// waiting rooms, pod connections, activity, counters. Nothing on the way of a request is shared with another
// worker or locked. Step 1 of the way of a request. Made by gateway, which owns it; its members are used by
// client_conn, exchange, relay. Thread: its own, but for start/reload/drain/stop, which only post to it.
#pragma once

#include "base/net.hpp"
#include "config/settings.hpp"
#include "proxy/access_log.hpp"
#include "proxy/activity.hpp"
#include "proxy/buffer.hpp"
#include "proxy/head.hpp"
#include "proxy/hold.hpp"
#include "proxy/identity/identity.hpp"
#include "proxy/listener.hpp"
#include "proxy/metrics.hpp"
#include "proxy/pod_pool.hpp"
#include "proxy/poller.hpp"
#include "proxy/resolver.hpp"
#include "proxy/route.hpp"
#include "proxy/route_cache.hpp"
#include "proxy/text_pool.hpp"
#include "proxy/tick_list.hpp"
#include "store/store.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace alcove::proxy {

class ClientConn;

// What the workers of one gateway share; none of it is touched by a request that hits the route cache.
struct Shared {
  HoldBudget holds;
  ConnectionBudget connections;
};

class Worker {
 public:
  using StoreFactory = std::function<std::unique_ptr<Store>(asio::io_context&)>;

  Worker(unsigned number, std::string gateway, SettingsPtr settings, const StoreFactory& factory,
         Shared& shared, AccessLogWriter* log, std::shared_ptr<WorkerMetrics> worker_metrics);
  ~Worker();

  // Opens a listener of this worker's own, or takes over one that listens already. Before start().
  Result<Endpoint> listen(const Endpoint& endpoint, std::shared_ptr<TlsContext> tls);
  Result<void> adopt(ListeningSocket socket, std::shared_ptr<TlsContext> tls);
  Result<void> duplicate(std::vector<ListeningSocket>& out) const;  // any thread, before drain()
  void start();                                                     // starts the thread
  void accept();                                                    // any thread: clients may come
  void reload(SettingsPtr settings);                                // any thread
  // Any thread: accept for so long, then finish what is under way, until timeouts.drain.
  void drain(Millis accepting_for);
  void stop();  // any thread: the hard end
  void join();
  bool ready() const { return ready_.load(std::memory_order_relaxed); }

  // --- for what runs on this thread ---
  asio::io_context io{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};  // others only post
  Poller poller{io};
  SettingsPtr settings;
  std::unique_ptr<Identity> identity;
  std::unique_ptr<Router> router;
  Shared& shared;
  std::shared_ptr<WorkerMetrics> metrics_owner;
  WorkerMetrics& metrics;
  BufferPool buffers;
  TextPool heads{512};  // that are on their way
  TextPool texts;       // what is kept of a request: shorter, and some are kept as long as a tunnel lives
  RouteCache routes;
  PodPool pods;
  std::unique_ptr<Store> store;
  WaitingRooms rooms;
  Activity activity;
  Resolver resolver;
  AccessLog access_log;
  RequestHead request_head;    // the table that every head is parsed into; good until the next suspension
  ResponseHead response_head;  // the same for answers
  std::string key_text;        // scratch for a session key on the hot path
  std::vector<char> tunnel_buffer;  // lent to the tunnel that has bytes to move, never across a suspension
  TickList<ClientConn> connections;
  std::minstd_rand random;  // for spreading things over time, nothing more

  bool draining() const { return draining_; }
  // While draining: when a WebSocket is to be closed. Each at a moment of its own, so that not all come back
  // at once, and late, so that they live on as long as they may.
  SteadyTime tunnel_end();
  SteadyTime now() const { return now_; }  // coarse: moved by the tick
  // 16 hexadecimal digits, unique in this process life and unlikely to meet another's.
  std::array<char, 16> next_request_id();
  // A connection has begun or ended: the last one ends a drain.
  void opened() { ++open_; }
  void closed();

 private:
  Awaitable<void> ticking();
  Awaitable<void> beating();
  void apply(SettingsPtr settings_now);
  void begin_drain(Millis accepting_for);
  void finish();
  void end_connections();
  void run();

  std::vector<std::unique_ptr<Listener>> listeners_;
  std::thread thread_;
  Timer tick_;
  SteadyTime now_ = SteadyClock::now();
  SteadyTime stop_accepting_at_{};
  SteadyTime hard_stop_at_{};
  std::uint64_t id_state_;
  std::size_t open_ = 0;
  bool draining_ = false;
  bool finished_ = false;
  std::atomic<bool> ready_{false};
};

}  // namespace alcove::proxy
