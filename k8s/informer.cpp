#include "k8s/informer.hpp"

#include "base/log.hpp"

#include <random>
#include <utility>

namespace alcove::k8s {
namespace {

// A watch that ends sooner than this without having said anything is not to be opened again at once.
constexpr Millis kTooShort{1'000};

std::minstd_rand& jitter() {
  static thread_local std::minstd_rand random{std::random_device{}()};
  return random;
}

}  // namespace

Informer::Informer(Executor executor, ApiClient& api, std::string collection, Selection selection,
                   InformerSink& sink, std::shared_ptr<ApiMetrics> metrics, Limits limits)
    : api_(api),
      collection_(std::move(collection)),
      selection_(std::move(selection)),
      sink_(sink),
      metrics_(std::move(metrics)),
      limits_(limits),
      changed_(executor),
      pauses_(executor),
      backoff_(limits.retry_first, limits.retry_most) {}

Awaitable<void> Informer::run() {
  while (!stopping_) {
    // One await for each statement: GCC 12 makes no good code of one behind && with a continue after it.
    bool listed = !version_.empty();
    if (!listed) listed = co_await list_all();
    if (listed && !stopping_) co_await follow();
  }
  set_watching(false);
}

void Informer::stop() {
  stopping_ = true;
  if (watch_) watch_->cancel();
  pauses_.end();
  changed_.notify();
}

Awaitable<bool> Informer::wait_in_step(SteadyTime deadline) {
  while (!in_step_ && !stopping_ && SteadyClock::now() < deadline) co_await changed_.wait_until(deadline);
  co_return in_step_;
}

Awaitable<bool> Informer::list_all() {
  metrics_->relists.add();
  const CallOptions once{Millis{0}, Millis{60'000}};
  ApiResult<ObjectList> all = co_await api_.list(collection_, selection_, limits_.page, once);
  if (stopping_) co_return false;
  if (!all) {
    co_await rest(all.error());
    co_return false;
  }
  version_ = all->version;
  in_step_ = true;
  trouble_.clear();
  sink_.on_list(std::move(*all));
  changed_.notify();
  co_return true;
}

// One watch, from the version that is known to its end.
Awaitable<void> Informer::follow() {
  const auto least = limits_.watch_least.count();
  const Millis most{std::uniform_int_distribution<Millis::rep>(least, 2 * least)(jitter())};
  const SteadyTime begun = SteadyClock::now();
  bool silent = true;
  std::optional<ApiError> error;
  const ApiResult<std::shared_ptr<Watch>> opened =
      co_await api_.watch(collection_, selection_, version_, most);
  if (!opened) {
    error = opened.error();
  } else {
    watch_ = *opened;
    if (stopping_) watch_->cancel();
    set_watching(true);
    trouble_.clear();
    for (;;) {
      const ApiResult<std::vector<WatchEvent>> events = co_await Watch::next(watch_);
      if (!events) error = events.error();
      if (!events || events->empty()) break;
      silent = false;
      backoff_.reset();
      for (const WatchEvent& event : *events) {
        if (std::string version = event.object.version(); !version.empty()) version_ = std::move(version);
        if (event.change != Change::bookmark) sink_.on_change(event);
      }
    }
    watch_.reset();
  }
  if (stopping_) co_return;
  if (error && error->reason == ApiReason::gone) {
    spdlog::info("kubernetes: the watch has to begin anew: {}", error->message);
    version_.clear();
    // A version that is too old right after a list: something is odd there, so not at once.
    if (silent && SteadyClock::now() - begun < kTooShort) co_await rest(*error);
    co_return;
  }
  const bool too_short = silent && SteadyClock::now() - begun < kTooShort;
  if (error && error->reason == ApiReason::timeout) error.reset();  // it was silent for its whole time
  if (error) co_await rest(*error);
  if (!error && too_short) {
    const ApiError ended(ApiReason::unreachable, "the Kubernetes API ends the watch at once");
    co_await rest(ended);
  }
}

Awaitable<void> Informer::rest(const ApiError& error) {
  const bool news = trouble_ != error.message;
  trouble_ = error.message;
  set_watching(false);
  if (news && error.reason != ApiReason::cancelled)
    spdlog::warn("kubernetes: out of step with {}: {}; trying again", collection_, error.message);
  Millis pause = backoff_.next(jitter());
  if (error.retry_after) pause += *error.retry_after;
  co_await pauses_.pause(pause);
}

void Informer::set_watching(bool watching) {
  if (watching_ == watching) return;
  watching_ = watching;
  const std::uint64_t before = metrics_->watching.get();
  metrics_->watching.set(watching ? before + 1 : before - 1);
}

}  // namespace alcove::k8s
