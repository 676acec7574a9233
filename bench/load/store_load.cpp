// Fills a Redis with sessions, or sends it what a gateway with many active sessions sends: by the store's own
// code, so that nothing here knows how the records look.
//
//   store_load fill --redis PORT --sessions N --endpoints FIRST_ADDRESS COUNT PORT
//       N sessions demo/user-0 ... that are ready, at those endpoints in turn, idle after a day.
//   store_load beat --redis PORT --sessions N --marks M --seconds T
//       A beat a second with M marks, the next M of the N sessions each time. Prints "beating" after the
//       first, and at the end one line of JSON: beats answered, and the longest one.
//
// Ends with 1 and a line that says why when the store refuses something.
#include "base/net.hpp"
#include "base/time.hpp"
#include "store/redis_store.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using namespace alcove;

constexpr std::size_t kFillersAtOnce = 128;
constexpr Millis kInterval{1'000};  // activity_interval's default
constexpr Millis kDay{86'400'000};

struct Options {
  std::uint16_t redis = 0;
  std::size_t sessions = 0;
  std::size_t marks = 0;
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

Beat next_beat(const Options& options, std::size_t& next, std::uint64_t seen) {
  Beat beat;
  beat.gateway = "bench/0";
  beat.seen = seen;
  beat.marks.reserve(options.marks);
  for (std::size_t i = 0; i < options.marks; ++i, next = (next + 1) % options.sessions) {
    Beat::Mark& mark = beat.marks.emplace_back();
    mark.key = key_of(next);
    mark.generation = 1;
    mark.what = "request";
  }
  return beat;
}

Awaitable<void> beat_on(Store& store, Executor executor, const Options& options) {
  Timer timer(executor);
  std::size_t next = 0;
  std::uint64_t seen = 0;
  Millis longest{0};
  const SteadyTime began = SteadyClock::now();
  for (std::size_t i = 0; i <= options.seconds; ++i) {
    timer.expires_at(began + i * kInterval);
    co_await timer.async_wait(kTuple);
    const SteadyTime sent = SteadyClock::now();
    Beat beat = next_beat(options, next, seen);
    const Result<BeatReply> reply = co_await store.beat(std::move(beat));
    if (!reply) die("a beat failed: " + reply.error().text);
    seen = reply->epoch;
    if (i == 0) {
      std::puts("beating");
      std::fflush(stdout);
    } else {
      longest = std::max(longest, std::chrono::duration_cast<Millis>(SteadyClock::now() - sent));
    }
  }
  std::printf("{\"beats\": %zu, \"longest_ms\": %lld}\n", options.seconds,
              static_cast<long long>(longest.count()));
  co_await store.leave("bench/0");
  store.close();
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
    } else if (name == "--marks") {
      options.marks = number(value, 10'000'000);
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
  if ((what != "fill" && what != "beat") || options.redis == 0 || options.sessions == 0)
    die("see the first lines of store_load.cpp");
  asio::io_context io{1};
  RedisStoreSettings settings;
  settings.port = options.redis;
  const std::unique_ptr<Store> store = make_redis_store(settings, io);
  std::size_t left = kFillersAtOnce;
  if (what == "fill") {
    for (std::size_t i = 0; i < kFillersAtOnce; ++i)
      launch(io.get_executor(), fill_some(*store, i, options, left));
  } else {
    launch(io.get_executor(), beat_on(*store, io.get_executor(), options));
  }
  io.run();
  return 0;
}
