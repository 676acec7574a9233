// Small pure functions on text. No state, any thread.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace alcove {

bool is_utf8(std::string_view text);  // RFC 3629: no overlong forms, no surrogates
// Safe to show: control characters and bytes that are not ASCII escaped as \xNN, cut at `limit` bytes with
// "...".
std::string printable(std::string_view text, std::size_t limit);
std::string html_escape(std::string_view text);     // for element content and double-quoted attributes
std::string percent_encode(std::string_view text);  // RFC 3986 unreserved characters stay
bool percent_decode(std::string_view text, std::string& out);  // false for a bad escape; '+' is not special
// application/x-www-form-urlencoded: the first value of `name`, decoded. False if absent or malformed.
bool form_value(std::string_view form, std::string_view name, std::string& out);
std::string_view without_query(std::string_view target);  // up to the first '?' or '#'

inline char lower(char c) {
  return (c >= 'A' && c <= 'Z') ? static_cast<char>(c + 32) : c;
}
bool iequals(std::string_view a, std::string_view b);  // ASCII only
std::string_view trim(std::string_view text);          // spaces and tabs (RFC 9110 OWS)

// Some bytes out of 256, for looking through short texts: find_first_of calls a function for each byte.
class ByteSet {
 public:
  constexpr explicit ByteSet(std::string_view bytes) {
    for (const char c : bytes) has_[static_cast<unsigned char>(c)] = true;
  }
  // Where the first of them is in `text`, or npos.
  std::size_t find_in(std::string_view text) const {
    for (std::size_t i = 0; i < text.size(); ++i)
      if (has_[static_cast<unsigned char>(text[i])]) return i;
    return std::string_view::npos;
  }

 private:
  std::array<bool, 256> has_{};
};

}  // namespace alcove
