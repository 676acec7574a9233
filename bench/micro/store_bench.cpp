// What do the store's operations cost the process that asks? In memory: the whole step, under its mutex,
// among 100,000 sessions. For Redis: what is written for a command and what is read out of an answer, from
// bytes to a Session. Not measured: sockets, the Redis server, coroutines.
#include "bench/micro/repeat.hpp"
#include "store/memory_backend.hpp"
#include "store/redis_codec.hpp"
#include "store/redis_reader.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace alcove;

constexpr std::size_t kSessions = 100'000;
constexpr std::size_t kMarks = 500;  // what one call of the script takes

std::vector<SessionKey> shuffled_keys() {
  std::vector<SessionKey> keys;
  for (std::size_t i = 0; i < kSessions; ++i) keys.emplace_back("notebook", "user-" + std::to_string(i));
  std::minstd_rand random(1);
  std::shuffle(keys.begin(), keys.end(), random);
  return keys;
}

Session ready_session(const SessionKey& key) {
  Session session;
  session.key = key;
  session.app = "notebook";
  session.user = std::string(key.name());
  session.state = State::ready;
  session.generation = 1;
  session.endpoint = Endpoint(boost::asio::ip::address_v4(0x7f400001), 8080);
  session.pod_uid = "static-0123456789abcdef0123456789abcdef";
  return session;
}

AcquireRequest acquire_request(const SessionKey& key) {
  AcquireRequest request;
  request.key = key;
  request.app = "notebook";
  request.user = std::string(key.name());
  return request;
}

Beat beat_of(const std::vector<SessionKey>& keys) {
  Beat beat;
  beat.gateway = "bench/0";
  for (std::size_t i = 0; i < kMarks; ++i) {
    Beat::Mark& mark = beat.marks.emplace_back();
    mark.key = keys[i];
    mark.generation = 1;
    mark.age = Millis{static_cast<Millis::rep>(i)};
    mark.what = "request";
  }
  return beat;
}

// Filled once: what a benchmark does here leaves it as full as it was.
struct Memory {
  Memory() : keys(shuffled_keys()) {
    for (const SessionKey& key : keys)
      if (!backend.adopt(ready_session(key))) std::abort();
  }
  std::vector<SessionKey> keys;
  MemoryBackend backend;
};
Memory& memory() {
  static Memory made;
  return made;
}

void memory_acquire(benchmark::State& state) {
  Memory& m = memory();
  std::size_t at = 0;
  bench::repeat(state, [&] {
    const auto session = m.backend.acquire(acquire_request(m.keys[at]));
    if (++at == kSessions) at = 0;
    return session && session->state == State::ready;
  });
}

void memory_lookup(benchmark::State& state) {
  Memory& m = memory();
  std::size_t at = 0;
  bench::repeat(state, [&] {
    const Session session = m.backend.lookup(m.keys[at]);
    if (++at == kSessions) at = 0;
    return session.state == State::ready;
  });
}

// One iteration is one beat of 500 marks.
void memory_beat(benchmark::State& state) {
  Memory& m = memory();
  const Beat beat = beat_of(m.keys);
  bench::repeat(state, [&] { return m.backend.beat(beat).draining.empty(); });
}

void redis_encode_acquire(benchmark::State& state) {
  const AcquireRequest request = acquire_request(SessionKey("notebook", "user-12345"));
  bench::repeat(state, [&] { return !format_redis_command(redis_codec::acquire_args(request)).empty(); });
}

// One iteration is one call with 500 marks.
void redis_encode_marks(benchmark::State& state) {
  const Beat beat = beat_of(shuffled_keys());
  bench::repeat(
      state, [&] { return !format_redis_command(redis_codec::marks_args(beat.marks, 0, kMarks)).empty(); });
}

std::string bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

// {"ok", key, {field, value, ...}} as the scripts answer it.
std::string session_on_the_wire() {
  const std::vector<std::pair<std::string, std::string>> fields{
      {"app", "notebook"},
      {"user", "user-12345"},
      {"state", "ready"},
      {"ep", "127.64.0.1:8080"},
      {"gen", "1"},
      {"cause", "none"},
      {"idle", "600000"},
      {"life", "0"},
      {"grace", "5000"},
      {"stop", "10000"},
      {"created", "1700000000000"},
      {"ready", "1700000000100"},
      {"changed", "1700000000100"},
      {"active", "1700000000200"},
      {"what", "request"},
      {"due", "1700000600200"},
      {"uid", "static-0123456789abcdef0123456789abcdef"}};
  std::string out =
      "*3\r\n" + bulk("ok") + bulk("notebook/user-12345") + "*" + std::to_string(2 * fields.size()) + "\r\n";
  for (const auto& [name, value] : fields) out += bulk(name) + bulk(value);
  return out;
}

void redis_decode_session(benchmark::State& state) {
  const std::string wire = session_on_the_wire();
  RedisReader reader;
  bench::repeat(state, [&] {
    reader.feed(wire);
    const auto reply = reader.next();
    if (!reply || !*reply) return false;
    const auto session = redis_codec::decode_session(**reply);
    return session && session->state == State::ready;
  });
}

BENCHMARK(memory_acquire)->Apply(bench::times);
BENCHMARK(memory_lookup)->Apply(bench::times);
BENCHMARK(memory_beat)->Apply(bench::times);
BENCHMARK(redis_encode_acquire)->Apply(bench::times);
BENCHMARK(redis_encode_marks)->Apply(bench::times);
BENCHMARK(redis_decode_session)->Apply(bench::times);

}  // namespace
