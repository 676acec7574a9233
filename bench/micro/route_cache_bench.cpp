// What does it cost to find a session's route, with few and with many in the cache, and what does a route
// weigh? Keys are asked for in an order that the processor's caches cannot foresee. bytes_per_route is what
// malloc gave for the table, the route and its texts, its own overhead included. Not measured: the store,
// connections.
#include "bench/micro/repeat.hpp"
#include "proxy/pod_pool.hpp"
#include "proxy/route_cache.hpp"

#include <benchmark/benchmark.h>

#include <malloc.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace alcove;

void find(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  std::vector<Session> sessions(count);
  for (std::size_t i = 0; i < count; ++i) {
    sessions[i].key = SessionKey("notebook", "user-" + std::to_string(i));
    sessions[i].generation = 1;
    sessions[i].endpoint =
        Endpoint(boost::asio::ip::address_v4(static_cast<std::uint32_t>(0x7f600001 + i)), 8080);
    // As the runtimes make them: 32 hexadecimal digits, or Kubernetes' 36 characters.
    std::string digits = std::to_string(i);
    sessions[i].pod_uid = std::string(36 - digits.size(), '0') + digits;
  }
  proxy::RouteCache cache(1'000'000);
  const auto before = mallinfo2();
  for (const Session& session : sessions) cache.insert(session);
  const auto after = mallinfo2();
  state.counters["bytes_per_route"] =
      static_cast<double>((after.uordblks + after.hblkhd) - (before.uordblks + before.hblkhd)) /
      static_cast<double>(count);

  std::vector<std::string> keys;
  keys.reserve(count);
  for (const Session& session : sessions) keys.push_back(session.key.text());
  std::minstd_rand random(1);
  std::shuffle(keys.begin(), keys.end(), random);
  std::size_t at = 0;
  bench::repeat(state, [&] {
    const bool found = cache.find(keys[at]) != nullptr;
    if (++at == count) at = 0;
    return found;
  });
}

BENCHMARK(find)->Arg(100)->Arg(10'000)->Arg(100'000)->Apply(bench::times);

}  // namespace
