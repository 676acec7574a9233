// How many iterations a microbenchmark runs. By itself: as many as its time needs. With
// ALCOVE_BENCH_ITERATIONS in the environment exactly so many, so that bench/micro/instructions.py can count
// the instructions of n and of 2n of them: the difference is the loop alone, without start, setup and end.
// Used by: every microbenchmark, as BENCHMARK(...)->Apply(fixed).
#pragma once

#include <benchmark/benchmark.h>

#include <cstdlib>

namespace alcove::bench {

inline void fixed(benchmark::internal::Benchmark* one) {
  if (const char* count = std::getenv("ALCOVE_BENCH_ITERATIONS")) one->Iterations(std::atoll(count));
}

}  // namespace alcove::bench
