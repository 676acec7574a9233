// Fills a Redis with sessions, or tells it what a gateway worker with many active sessions tells: by the
// store's and the worker's own code, so that nothing here knows how the records look or when a use is told.
//
//   store_load fill --redis PORT --sessions N --endpoints FIRST_ADDRESS COUNT PORT
//       N sessions demo/user-0 ... that are ready, at those endpoints in turn, idle after a day.
//   store_load use --redis PORT --sessions N --each-second M --seconds T
//       Uses M sessions a second, in turn, for T seconds. Prints "using" once the worker's lease runs.
//
// Ends with 1 and a line that says why when the store refuses something.
#include "base/net.hpp"
#include "base/time.hpp"
#include "proxy/activity.hpp"
#include "store/redis_store.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using namespace alcove;

constexpr std::size_t kFillersAtOnce = 128;
constexpr Millis kSlice{50};
constexpr Millis kDay{86'400'000};

struct Options {
  std::uint16_t redis = 0;
  std::size_t sessions = 0;
  std::size_t each_second = 0;
  std::size_t seconds = 0;
  asio::ip::address_v4 first;
  std::size_t endpoints = 1;
  std::uint16_t port = 0;
};

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "store_load: %s\n", why.c_str());
  std::exit(1);
}

SessionKey key_of(std::size_t number) {
  return SessionKey("demo", "user-" + std::to_string(number));
}

Session session_of(std::size_t number, const Options& options) {
  Session session;
  session.key = key_of(number);
  session.app = "demo";
  session.user = "user-" + std::to_string(number);
  session.state = State::ready;
  session.generation = 1;
  const auto address = options.first.to_uint() + static_cast<std::uint32_t>(number % options.endpoints);
  session.endpoint = Endpoint(asio::ip::address_v4(address), options.port);
  session.pod_uid = "bench-" + std::to_string(number);
  session.policy.idle_timeout = kDay;
  return session;
}

Awaitable<void> fill_some(Store& store, std::size_t first, const Options& options, std::size_t& left) {
  for (std::size_t i = first; i < options.sessions; i += kFillersAtOnce) {
    Session session = session_of(i, options);
    const Result<Session> written = co_await store.adopt(std::move(session));
    if (!written) die("session " + std::to_string(i) + ": " + written.error().text);
  }
  if (--left == 0) store.close();
}

// What Activity needs beside the store.
struct Worker {
  Worker(asio::io_context& io, Store& store)
      : activity(io.get_executor(), store, routes, metrics, "bench/0") {}

  proxy::RouteCache routes{10'000'000};
  proxy::WorkerMetrics metrics;
  proxy::Activity activity;
};

Awaitable<void> use_on(Worker& worker, Executor executor, const Options& options) {
  Timer timer(executor);
  SteadyTime next = SteadyClock::now();
  const auto slice = [&] {
    timer.expires_at(next += kSlice);
    return timer.async_wait(kTuple);
  };
  while (!worker.activity.lease_runs(SteadyClock::now())) co_await slice();
  std::vector<proxy::RoutePtr> routes;
  for (std::size_t i = 0; i < options.sessions; ++i)
    routes.push_back(worker.routes.insert(session_of(i, options)));
  std::puts("using");
  std::fflush(stdout);
  const std::size_t slices_a_second = Millis{1'000} / kSlice;
  std::size_t at = 0;
  for (std::size_t i = 0; i < options.seconds * slices_a_second; ++i) {
    co_await slice();
    const SteadyTime now = SteadyClock::now();
    for (std::size_t n = options.each_second / slices_a_second; n > 0; --n, at = (at + 1) % routes.size())
      worker.activity.mark(*routes[at], proxy::ActivityKind::request, now);
  }
  worker.activity.stop();
}

std::size_t number(const char* text, std::size_t most) {
  char* end = nullptr;
  const unsigned long long value = std::strtoull(text, &end, 10);
  if (*text == 0 || *end != 0 || value > most) die(std::string("not a number that fits: ") + text);
  return value;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 2; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (i + 1 >= argc) die("a value is missing after " + std::string(name));
    const char* const value = argv[++i];
    if (name == "--redis") {
      options.redis = static_cast<std::uint16_t>(number(value, 65535));
    } else if (name == "--sessions") {
      options.sessions = number(value, 100'000'000);
    } else if (name == "--each-second") {
      options.each_second = number(value, 10'000'000);
    } else if (name == "--seconds") {
      options.seconds = number(value, 3600);
    } else if (name == "--endpoints" && i + 2 < argc) {
      error_code ec;
      options.first = asio::ip::make_address_v4(value, ec);
      if (ec || !options.first.is_loopback()) die("no loopback address: " + std::string(value));
      options.endpoints = std::max<std::size_t>(1, number(argv[++i], 1'000'000));
      options.port = static_cast<std::uint16_t>(number(argv[++i], 65535));
    } else {
      die("unknown option " + std::string(name));
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  const Options options = parse(argc, argv);
  if ((what != "fill" && what != "use") || options.redis == 0 || options.sessions == 0)
    die("see the first lines of store_load.cpp");
  asio::io_context io{1};
  RedisStoreSettings settings;
  settings.port = options.redis;
  const std::unique_ptr<Store> store = make_redis_store(settings, io);
  std::size_t left = kFillersAtOnce;
  if (what == "fill") {
    for (std::size_t i = 0; i < kFillersAtOnce; ++i)
      launch(io.get_executor(), fill_some(*store, i, options, left));
    io.run();
    return 0;
  }
  Worker worker(io, *store);
  launch(io.get_executor(), worker.activity.run(std::make_shared<Settings>()),
         [&](const std::exception_ptr&) { store->close(); });
  launch(io.get_executor(), use_on(worker, io.get_executor(), options));
  io.run();
  return 0;
}
