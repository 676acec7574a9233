// Control: the control thread: its io_context, its store, the runtime, and the roles that decide about pods.
// Called by: app. Calls: provisioner, reaper, reconciler, runtime. Thread: made and asked by the main thread;
// what it owns lives on its own thread. Fails with: start() says why the runtime cannot be made (directory,
// lock, network).
#pragma once

#include "alcove/roles.hpp"
#include "alcove/stores.hpp"
#include "api/log_source.hpp"
#include "base/event.hpp"
#include "config/settings.hpp"
#include "k8s/metrics.hpp"
#include "lifecycle/metrics.hpp"
#include "lifecycle/provisioner.hpp"
#include "lifecycle/reaper.hpp"
#include "lifecycle/reconciler.hpp"
#include "lifecycle/runtime.hpp"

#include <boost/asio/executor_work_guard.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

namespace alcove {

class Control final : public LogSource {
 public:
  Control(SettingsPtr settings, Roles roles, const Stores& stores);
  ~Control() override;
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  Result<void> start();               // makes the runtime, starts the thread
  void reload(SettingsPtr settings);  // any thread
  // Ends the roles in order, takes the pods that would not outlive this process with it, then calls `done` on
  // the control thread, which ends.
  void stop(std::function<void()> done);
  void join();
  bool connected() const { return connected_.load(std::memory_order_relaxed); }
  const std::shared_ptr<LifecycleMetrics>& metrics() const { return metrics_; }
  const std::shared_ptr<k8s::ApiMetrics>& api_metrics() const { return api_metrics_; }

  // From the admin listener's thread.
  Awaitable<Result<LogPart>> read(SessionKey key, Generation generation, std::uint64_t offset,
                                  bool tail) override;

 private:
  std::unique_ptr<Runtime> make_runtime();
  void spawn(Awaitable<void> role);
  Awaitable<void> watch_store();
  Awaitable<void> finish(std::function<void()> done);

  asio::io_context io_{1};
  // Logs can be read until join(), also when nothing else is left to do.
  asio::executor_work_guard<Executor> open_{io_.get_executor()};
  SettingsPtr settings_;
  Roles roles_;
  std::shared_ptr<LifecycleMetrics> metrics_ = std::make_shared<LifecycleMetrics>();
  std::shared_ptr<k8s::ApiMetrics> api_metrics_ = std::make_shared<k8s::ApiMetrics>();
  std::unique_ptr<Store> store_;
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<Provisioner> provisioner_;
  std::unique_ptr<Reconciler> reconciler_;
  std::unique_ptr<Reaper> reaper_;
  Event ended_;  // a role has
  Timer watch_;
  int running_ = 0;
  bool stopping_ = false;
  std::atomic<bool> connected_{false};
  std::thread thread_;
};

}  // namespace alcove
