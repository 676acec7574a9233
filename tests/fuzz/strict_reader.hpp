// A second parser of another kind: reads HTTP/1.1 line by line, as RFC 9112 has it and not a byte more.
// Shares no code with Alcove's (no Beast, no state machine); written to be read next to the RFC.
#pragma once

#include "tests/fuzz/message.hpp"

#include <string_view>

namespace alcove::fuzz {

// All requests of a connection. A head that is cut short is no message and no refusal.
Reading read_requests_strictly(std::string_view bytes);

// The interim responses and the final one, of a connection that ended after `bytes`.
Reading read_responses_strictly(std::string_view bytes, Asked asked);

}  // namespace alcove::fuzz
