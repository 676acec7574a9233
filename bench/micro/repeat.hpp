// The loop of every microbenchmark. By itself it runs as often as its time needs. With
// ALCOVE_BENCH_ITERATIONS in the environment it runs exactly so often, and under callgrind only the loop is
// counted, not what was made before it: bench/micro/instructions.py takes the difference of n and 2n.
// Used as: BENCHMARK(name)->Apply(bench::times), and in the function bench::repeat(state, step).
#pragma once

#include <benchmark/benchmark.h>

#include <valgrind/callgrind.h>

#include <cstdlib>

namespace alcove::bench {

inline void times(benchmark::internal::Benchmark* one) {
  if (const char* count = std::getenv("ALCOVE_BENCH_ITERATIONS")) one->Iterations(std::atoll(count));
}

// `step` answers whether it did what it is measured for: a refusal would be fast, and worth nothing.
template <class Step>
void repeat(benchmark::State& state, Step step) {
  CALLGRIND_START_INSTRUMENTATION;
  for (auto _ : state) {
    if (step()) continue;
    state.SkipWithError("the step failed");
    break;
  }
  CALLGRIND_STOP_INSTRUMENTATION;
}

}  // namespace alcove::bench
