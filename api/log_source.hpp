// LogSource: where the admin listener gets a pod's output from. Made by alcove/, which knows the runtime.
// Thread: called on the admin listener's io_context; whoever implements it crosses over to the runtime's.
// Fails with: Errc::not_found (no log is kept), unavailable (this process runs no pods).
#pragma once

#include "base/net.hpp"
#include "base/result.hpp"
#include "base/session_key.hpp"

#include <cstdint>
#include <string>

namespace alcove {

struct LogPart {
  std::string text;
  std::uint64_t next = 0;  // offset to go on from
  bool ended = false;      // the pod is gone and this was the rest
};

class LogSource {
 public:
  virtual ~LogSource() = default;
  // `generation` 0: the latest. `tail`: about the last 64 KiB instead of from `offset`.
  virtual Awaitable<Result<LogPart>> read(SessionKey key, Generation generation, std::uint64_t offset,
                                          bool tail) = 0;
};

}  // namespace alcove
