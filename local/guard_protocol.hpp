// What owner and guard say to each other: one message is one packet on their SOCK_SEQPACKET socket. Both ends
// are the same binary on the same machine, so numbers go as they are; the version catches a binary replaced
// under a running one. Pure, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace alcove {

enum class GuardWord : std::uint8_t {
  // owner -> guard
  start =
      1,  // id, number: log limit, texts: uid, directory, log stem, program, argc, argv..., environment...
  stop,   // id, number: grace in ms
  // guard -> owner
  started,  // id, number: pid, second: start time
  refused,  // id, texts: why; nothing was started
  ended,    // id, number: wait status, second: bytes of output dropped; nothing of the pod is left
};

struct GuardMessage {
  GuardWord word = GuardWord::start;
  std::uint64_t id = 0;  // of the pod, given by the owner
  std::int64_t number = 0;
  std::int64_t second = 0;
  std::vector<std::string> texts;
};

inline constexpr std::size_t kMostMessageBytes = 160 * 1024;  // below the kernel's default socket buffer

std::string encode(const GuardMessage& message);
std::optional<GuardMessage> decode(std::string_view packet);  // nothing: not a message of this version

}  // namespace alcove
