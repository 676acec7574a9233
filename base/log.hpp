// The process log (not the access log): one logger, thread-safe, human-readable or JSON lines, to stderr.
// Levels: error = a request or session was not served; warn = recovered; info = start, stop, session
// transitions. Never a secret or a cookie; text from outside goes through printable().
#pragma once

#include <spdlog/spdlog.h>

namespace alcove {

enum class LogFormat { human, json };

// Call once, before any thread starts. Level: trace, debug, info, warn, error.
void start_log(LogFormat format, spdlog::level::level_enum level);

}  // namespace alcove
