// The commands for people: ls, show, start, stop, logs: ask the admin listener, print tables or JSON.
// Called by: main. Thread: the main thread's. Fails with: the exit code 1 and a line on stderr.
#pragma once

#include "alcove/command_line.hpp"

namespace alcove {

int run_for_people(const CommandLine& line);

}  // namespace alcove
