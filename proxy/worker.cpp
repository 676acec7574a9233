#include "proxy/worker.hpp"

#include "base/crypto.hpp"
#include "base/log.hpp"
#include "proxy/client_conn.hpp"

#include <boost/asio/post.hpp>

#include <cstring>

namespace alcove::proxy {
namespace {

constexpr Millis kTick{250};
constexpr std::size_t kTunnelBuffer = 64 * 1024;
constexpr std::size_t kMostRoutes = 1'000'000;
constexpr std::size_t kLeastBlock = 16 * 1024;

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  const std::string bytes = random_bytes(sizeof seed);
  std::memcpy(&seed, bytes.data(), sizeof seed);
  return seed;
}

}  // namespace

Worker::Worker(unsigned number, std::string gateway, SettingsPtr s, const StoreFactory& factory,
               Shared& shared_parts, AccessLogWriter* log, std::shared_ptr<WorkerMetrics> worker_metrics)
    : settings(std::make_shared<const Settings>(*s)),
      identity(std::make_unique<Identity>(settings)),
      router(std::make_unique<Router>(settings)),
      shared(shared_parts),
      metrics_owner(std::move(worker_metrics)),
      metrics(*metrics_owner),
      buffers(std::max<std::size_t>(kLeastBlock, settings->limits.head_bytes)),
      routes(kMostRoutes),
      pods(poller, buffers, metrics),
      store(factory(io)),
      rooms(io.get_executor(), *store, routes),
      activity(io.get_executor(), *store, routes, metrics, gateway + "/" + std::to_string(number)),
      resolver(*store, routes, rooms, activity, metrics),
      access_log(log),
      tunnel_buffer(std::max(kTunnelBuffer, buffers.block_bytes())),
      random(static_cast<unsigned>(random_seed())),
      tick_(io.get_executor()),
      id_state_(random_seed()) {}

Worker::~Worker() = default;

Result<Endpoint> Worker::listen(const Endpoint& endpoint, std::shared_ptr<TlsContext> tls) {
  auto listener = std::make_unique<Listener>(*this, std::move(tls));
  if (auto opened_now = listener->open(endpoint); !opened_now) return opened_now.error();
  listeners_.push_back(std::move(listener));
  return listeners_.back()->endpoint();
}

Result<void> Worker::adopt(ListeningSocket socket, std::shared_ptr<TlsContext> tls) {
  auto listener = std::make_unique<Listener>(*this, std::move(tls));
  if (auto adopted = listener->adopt(std::move(socket)); !adopted) return adopted;
  listeners_.push_back(std::move(listener));
  return {};
}

Result<void> Worker::duplicate(std::vector<ListeningSocket>& out) const {
  for (const auto& listener : listeners_) {
    auto copy = listener->duplicate();
    if (!copy) return copy.error();
    out.push_back(std::move(*copy));
  }
  return {};
}

void Worker::start() {
  launch(io.get_executor(), ticking());
  launch(io.get_executor(), beating());
  thread_ = std::thread([this] { run(); });
}

void Worker::accept() {
  asio::post(io, [this] {
    if (!draining_)
      for (const auto& listener : listeners_) listener->start();
  });
}

void Worker::run() {
  // Nothing on this thread throws but for defects; those end the process loudly instead of one connection
  // quietly.
  io.run();
}

Awaitable<void> Worker::beating() {
  co_await activity.run(settings);
  store->close();
}

Awaitable<void> Worker::ticking() {
  // After the end has come, until the last connection has seen it.
  while (!finished_ || open_ > 0) {
    tick_.expires_after(kTick);
    co_await tick_.async_wait(kTuple);
    now_ = SteadyClock::now();
    if (finished_) end_connections();
    connections.tick(now_);
    pods.sweep(now_);
    access_log.flush();
    ready_.store(!draining_ && store->connected() && activity.lease_runs(now_), std::memory_order_relaxed);
    if (draining_ && now_ >= stop_accepting_at_)
      for (const auto& listener : listeners_) listener->close();
    if (draining_ && ((open_ == 0 && now_ >= stop_accepting_at_) || now_ >= hard_stop_at_)) finish();
  }
  access_log.flush();
}

std::array<char, 16> Worker::next_request_id() {
  // splitmix64: a counter mixed so that ids of one process look unlike each other in a log.
  std::uint64_t x = (id_state_ += 0x9E3779B97F4A7C15ULL);
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  x ^= x >> 31;
  std::array<char, 16> id;
  for (char& c : id) {
    c = "0123456789abcdef"[x & 15];
    x >>= 4;
  }
  return id;
}

void Worker::closed() {
  --open_;
}

void Worker::apply(SettingsPtr settings_now) {
  settings = std::make_shared<const Settings>(*settings_now);
  identity = std::make_unique<Identity>(settings);
  router = std::make_unique<Router>(settings);
  activity.reload(settings);
}

void Worker::reload(SettingsPtr settings_now) {
  asio::post(io, [this, settings_now = std::move(settings_now)] { apply(settings_now); });
}

void Worker::begin_drain(Millis accepting_for) {
  if (draining_) return;
  draining_ = true;
  ready_.store(false, std::memory_order_relaxed);
  stop_accepting_at_ = SteadyClock::now() + accepting_for;
  hard_stop_at_ = stop_accepting_at_ + settings->timeouts.drain;
  connections.for_each([](ClientConn& conn) { conn.on_drain(); });
  tick_.cancel();
}

SteadyTime Worker::tunnel_end() {
  const Millis half = settings->timeouts.drain / 2;
  const Millis::rep last = std::max<Millis::rep>(0, (half - 2 * kTick).count());
  std::uniform_int_distribution<Millis::rep> moment(0, last);
  return hard_stop_at_ - half + Millis{moment(random)};
}

// Ends every connection and lets the loop run out; the beats take leave of the store first.
void Worker::finish() {
  if (finished_) return;
  finished_ = true;
  if (draining_ && now_ >= hard_stop_at_) metrics.met(Limit::drain, open_);
  for (const auto& listener : listeners_) listener->close();
  end_connections();
  rooms.stop();
  activity.stop();
  tick_.cancel();
}

void Worker::end_connections() {
  connections.for_each([](ClientConn& conn) { conn.end(); });
}

void Worker::drain(Millis accepting_for) {
  asio::post(io, [this, accepting_for] { begin_drain(accepting_for); });
}

void Worker::stop() {
  asio::post(io, [this] {
    draining_ = true;
    finish();
  });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace alcove::proxy
