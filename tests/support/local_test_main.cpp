// main() of test programs that use the local runtime: the runtime runs this binary again as its guard.
#include "local/guard.hpp"

#include <gtest/gtest.h>

int main(int argc, char** argv) {
  if (alcove::is_local_guard(argc, argv)) return alcove::run_local_guard(argc, argv);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
