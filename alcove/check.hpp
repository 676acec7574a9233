// `alcove check FILE`: all faults, or a short summary of what the file means.
// Called by: main. Fails with: the exit code 2 and the faults on stderr.
#pragma once

#include "alcove/command_line.hpp"

namespace alcove {

int run_check(const CommandLine& line);

}  // namespace alcove
