#include "alcove/control.hpp"

#include "base/log.hpp"
#include "k8s/kubernetes_runtime.hpp"
#include "local/local_runtime.hpp"
#include "local/static_runtime.hpp"

#include <boost/asio/post.hpp>

namespace alcove {
namespace {

constexpr Millis kWatch{200};  // between looks at whether the store is connected, for /readyz

}  // namespace

Control::Control(SettingsPtr settings, Roles roles, const Stores& stores)
    : settings_(std::move(settings)),
      roles_(roles),
      store_(stores.make(io_)),
      ended_(io_.get_executor()),
      watch_(io_.get_executor()) {}

Control::~Control() {
  io_.stop();
  join();
}

std::unique_ptr<Runtime> Control::make_runtime() {
  if (const auto* local = std::get_if<LocalRuntimeSettings>(&settings_->runtime))
    return make_local_runtime(*local, io_, roles_.provisioner ? LocalMode::owner : LocalMode::guest);
  if (const auto* kubernetes = std::get_if<KubernetesRuntimeSettings>(&settings_->runtime))
    return k8s::make_kubernetes_runtime(*kubernetes, io_.get_executor(), api_metrics_);
  return make_static_runtime(std::get<StaticRuntimeSettings>(settings_->runtime), io_.get_executor());
}

Result<void> Control::start() {
  try {
    runtime_ = make_runtime();
  } catch (const std::runtime_error& error) {
    return Error{Errc::unavailable, error.what()};
  }
  const Executor executor = io_.get_executor();
  if (roles_.provisioner) {
    provisioner_ = std::make_unique<Provisioner>(executor, *store_, *runtime_, settings_, metrics_);
    reconciler_ =
        std::make_unique<Reconciler>(executor, *store_, *runtime_, *provisioner_, settings_, metrics_);
    spawn(provisioner_->run());
    spawn(reconciler_->run());
  }
  if (roles_.reaper) {
    reaper_ = std::make_unique<Reaper>(executor, *store_, *runtime_, settings_, metrics_);
    spawn(reaper_->run());
  }
  spawn(watch_store());
  thread_ = std::thread([this] { io_.run(); });
  return {};
}

void Control::spawn(Awaitable<void> role) {
  ++running_;
  launch(io_, std::move(role), [this](const std::exception_ptr& thrown) {
    if (thrown) {
      // A defect of ours. Going on without the role would let sessions hang with nobody to see why.
      try {
        std::rethrow_exception(thrown);
      } catch (const std::exception& error) {
        spdlog::critical("the control thread failed: {}", error.what());
      }
      std::terminate();
    }
    --running_;
    ended_.notify();
  });
}

Awaitable<void> Control::watch_store() {
  while (!stopping_) {
    connected_.store(store_->connected(), std::memory_order_relaxed);
    watch_.expires_after(kWatch);
    co_await watch_.async_wait(kTuple);
  }
}

void Control::reload(SettingsPtr settings) {
  asio::post(io_, [this, settings = std::move(settings)] {
    settings_ = settings;
    if (provisioner_) provisioner_->reload(settings);
    if (reconciler_) reconciler_->reload(settings);
    if (reaper_) reaper_->reload(settings);
  });
}

void Control::stop(std::function<void()> done) {
  asio::post(io_, [this, done = std::move(done)]() mutable { launch(io_, finish(std::move(done))); });
}

Awaitable<void> Control::finish(std::function<void()> done) {
  stopping_ = true;
  watch_.cancel();
  if (reconciler_) reconciler_->stop();
  if (reaper_) reaper_->stop();
  if (provisioner_) provisioner_->stop();
  runtime_->hurry();
  while (running_ > 0) co_await ended_.wait();
  if (provisioner_)
    co_await provisioner_->hand_back();
  else
    co_await runtime_->shut_down();
  store_->close();
  done();
}

void Control::join() {
  open_.reset();
  if (thread_.joinable()) thread_.join();
}

Awaitable<Result<LogPart>> Control::read(SessionKey key, Generation generation, std::uint64_t offset,
                                         bool tail) {
  LogRequest request{{std::move(key), generation}, offset, tail};
  // The runtime belongs to the control thread.
  auto chunk = co_await run_on(io_, runtime_->logs(std::move(request)));
  if (!chunk) co_return chunk.error();
  co_return LogPart{std::move(chunk->text), chunk->next, chunk->ended};
}

}  // namespace alcove
