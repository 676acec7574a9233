// What does it cost to find a session's route, with few and with many in the cache? Keys are asked for in an
// order that the processor's caches cannot foresee. Not measured: the store, connections.
#include "proxy/pod_pool.hpp"
#include "proxy/route_cache.hpp"

#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

namespace {

using namespace alcove;

void find(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  proxy::RouteCache cache(count + 1);
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < count; ++i) {
    const SessionKey key("notebook", "user-" + std::to_string(i));
    const Endpoint endpoint(boost::asio::ip::address_v4(static_cast<std::uint32_t>(0x7f600001 + i)), 8080);
    cache.insert(key, 1, endpoint, "pod-" + std::to_string(i));
    keys.push_back(key.text());
  }
  std::minstd_rand random(1);
  std::shuffle(keys.begin(), keys.end(), random);
  std::size_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(cache.find(keys[at]));
    if (++at == count) at = 0;
  }
}

BENCHMARK(find)->Arg(100)->Arg(10'000)->Arg(100'000);

}  // namespace
