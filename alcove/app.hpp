// App: the one place that wires everything by hand for the roles of this process, and ends it in order.
// Called by: main. Thread: the main thread's; it starts the others: control, admin, the gateway's workers,
// the log writer. Fails with: run() answers the exit code; what went wrong is in the log, naming what to do.
//
// The order of the end (SIGTERM, SIGINT): /readyz turns red and the gateway finishes what is under way, while
// the provisioner still starts pods for who waits; then the roles stop, pods that would not outlive us are
// ended; then the admin listener, which was there to tell all this. A second signal ends it at once: the
// guard takes the pods with us.
#pragma once

#include "alcove/admin.hpp"
#include "alcove/configuration.hpp"
#include "alcove/control.hpp"
#include "alcove/roles.hpp"
#include "alcove/stores.hpp"
#include "alcove/takeover.hpp"
#include "proxy/gateway.hpp"

#include <boost/asio/basic_signal_set.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

namespace alcove {

class App {
 public:
  using Reconfigure = std::function<Configuration()>;  // reads the config again

  // `take_over`: the gateway begins with the listening sockets of the one that runs now (takeover.hpp).
  App(SettingsPtr settings, Roles roles, Reconfigure reconfigure, bool take_over);
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  int run();

 private:
  Result<void> begin();
  Result<void> begin_gateway(std::vector<ListeningSocket> inherited);
  Result<void> inherit();
  Awaitable<void> succeed();
  void accept();
  void taken_over();
  AdminServer::Parts admin_parts();
  void greet() const;
  Awaitable<void> signals();
  Awaitable<void> end(bool handed_over);
  void reload();

  asio::io_context io_{1};
  asio::basic_signal_set<Executor> signals_;
  SettingsPtr settings_;
  Roles roles_;
  Reconfigure reconfigure_;
  bool take_over_;
  std::optional<Successor> successor_;          // until we accept
  std::unique_ptr<Predecessor> for_successor_;  // from then on, if `takeover` is configured
  Stores stores_;
  std::unique_ptr<proxy::AccessLogWriter> access_log_;
  std::unique_ptr<proxy::Gateway> gateway_;
  std::unique_ptr<Control> control_;
  std::unique_ptr<Admin> admin_;
  std::atomic<bool> started_{false};
  std::atomic<bool> ending_{false};
  bool signalled_ = false;
};

}  // namespace alcove
