// What does it cost to follow the frames of a WebSocket? Of small messages, each read alone and many in one
// read, and of frames larger than a read. Not measured: sockets, the copying (there is none).
#include "bench/micro/repeat.hpp"
#include "proxy/websocket_watch.hpp"

#include <benchmark/benchmark.h>

#include <string>

namespace {

using namespace alcove;

// A masked text frame, as a browser sends it.
std::string frame(std::size_t payload) {
  std::string out("\x81", 1);
  if (payload < 126) {
    out += static_cast<char>(0x80 | payload);
  } else if (payload < 65536) {
    out += static_cast<char>(0x80 | 126);
    out += static_cast<char>(payload >> 8);
    out += static_cast<char>(payload & 0xff);
  } else {
    out += static_cast<char>(0x80 | 127);
    for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>((payload >> shift) & 0xff);
  }
  out += "mask";
  out.append(payload, 'x');
  return out;
}

std::string repeated(const std::string& one, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += one;
  return out;
}

// One iteration is one read of the stream, which begins and ends between two frames.
void feed(benchmark::State& state, const std::string& bytes) {
  proxy::WebSocketWatch watch;
  bench::repeat(state, [&] { return watch.feed(bytes) && watch.at_boundary(); });
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes.size()));
}

// One iteration is one read of 64 KiB from the middle of a stream of 1 MiB frames.
void feed_large(benchmark::State& state) {
  const std::string stream = repeated(frame(1 << 20), 4);
  constexpr std::size_t kRead = 64 * 1024;
  proxy::WebSocketWatch watch;
  std::size_t at = 0;
  bench::repeat(state, [&] {
    const std::string_view read = std::string_view(stream).substr(at, kRead);
    at += read.size();
    if (at == stream.size()) at = 0;
    return watch.feed(read);
  });
}

BENCHMARK_CAPTURE(feed, one_of_64_bytes, frame(64))->Apply(bench::times);
BENCHMARK_CAPTURE(feed, one_of_1_kib, frame(1024))->Apply(bench::times);
BENCHMARK_CAPTURE(feed, hundred_of_64_bytes, repeated(frame(64), 100))->Apply(bench::times);
BENCHMARK(feed_large)->Apply(bench::times);

}  // namespace
