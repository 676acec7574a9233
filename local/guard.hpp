// The guard: a small process of its own that forks the pods of the local runtime and leaves nothing behind.
// Called by: main(), before anything else is parsed: `if (is_local_guard(argc, argv)) return
// run_local_guard(argc, argv);`
//   The local runtime runs /proc/self/exe again with the hidden subcommand.
// Thread: single-threaded process, its own session; adopts orphaned descendants of the pods (child
// subreaper). Owns: the pods' processes and their output pipes. The socket to its owner is its life: when
// that ends, in whatever
//   way, all pods get SIGTERM, after kLastGrace SIGKILL, and the guard exits.
// Fails: exits with 1 and a message on stderr if it cannot begin.
#pragma once

#include <string_view>

namespace alcove {

inline constexpr std::string_view kGuardCommand = "local-guard";

bool is_local_guard(int argc, char** argv);
int run_local_guard(int argc, char** argv);

}  // namespace alcove
