// The other second parser: reads HTTP/1.1 as servers and clients do that grew without the RFC beside them. It
// refuses nothing. Each of its habits was a way to smuggle requests past somebody; what Alcove writes must
// mean the same to all of them.
#pragma once

#include "tests/fuzz/message.hpp"

#include <array>
#include <string_view>

namespace alcove::fuzz {

struct Habits {
  std::string_view name;
  bool cr_ends_line = false;   // a bare CR ends a line as a bare LF does
  bool nul_ends_text = false;  // texts of C
  bool folds = false;          // a line that begins with white space goes on with the value before it
  bool underscores = false;    // '_' in a name is '-', as for CGI
  bool last_length = false;    // of several Content-Length the last counts, else the first
  bool length_wins = false;    // over Transfer-Encoding
  bool c_numbers = false;      // strtol: white space, sign and 0x in front, ends where it stops to understand
};

// All of them accept a bare LF, trim whatever is below '!' off names and values, skip lines without a colon,
// find "chunked" anywhere in Transfer-Encoding, and take what follows a chunk's size for an extension.
inline constexpr std::array<Habits, 4> kSloppy{{
    {.name = "old C server", .nul_ends_text = true, .last_length = true, .c_numbers = true},
    {.name = "splits lines at CR", .cr_ends_line = true, .folds = true},
    {.name = "CGI gateway", .underscores = true, .last_length = true, .c_numbers = true},
    {.name = "believes the length", .folds = true, .underscores = true, .length_wins = true},
}};

std::vector<Message> read_requests_sloppily(std::string_view bytes, const Habits& habits);
std::vector<Message> read_responses_sloppily(std::string_view bytes, const Habits& habits, Asked asked);

}  // namespace alcove::fuzz
