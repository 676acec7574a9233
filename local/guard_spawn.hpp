// Starts one pod's process: own session and process group, nothing inherited, output into a pipe. Called by:
// guard, which is single-threaded and has no signal handlers: until its program runs, the new process works
// on the memory of the guard. Fails with the reason that people see. Blocks until the new program runs or
// could not be run.
#pragma once

#include "base/result.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace alcove {

// What the guard ignores and its pods must not: an ignored signal stays ignored through exec.
inline constexpr std::array kIgnoredByGuard{SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2};

// A descriptor of the guard's that only spawn_pod uses: a pod's end of its pipe while the pod starts, a copy
// of the guard's input, /dev/null, else. Low, so that a pod's table of descriptors needs nothing above it.
inline constexpr int kPodOutput = 5;
bool reserve_pod_output();  // before anything else can take the number; false: errno tells why

struct SpawnOrder {
  std::string directory;
  std::string program;  // a path
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  rlimit files{};  // RLIMIT_NOFILE of the pod
};

struct Spawned {
  pid_t pid = 0;
  std::uint64_t start_time = 0;
  int output = -1;  // read end, does not block
};

Result<Spawned> spawn_pod(const SpawnOrder& order);

}  // namespace alcove
