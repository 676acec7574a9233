#include "tests/fuzz/strict_reader.hpp"

#include <algorithm>
#include <cctype>
#include <optional>

namespace alcove::fuzz {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// RFC 9110 5.6.2
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

// RFC 9110 5.5: visible characters, space, tab, obs-text.
bool is_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7F);
  });
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string_view without_ows(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Reads one message after the other off `bytes`. A step answers false when it cannot go on: `refused` says
// why, or is empty if bytes are missing.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  bool request(Message& message) {
    std::string_view line;
    // RFC 9112 2.2: at least one empty line before a request is skipped.
    do {
      if (!take_line(line)) return false;
    } while (line.empty());
    const auto first = line.find(' ');
    const auto last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) return refuse("a request line has three parts");
    message.method = line.substr(0, first);
    message.target = line.substr(first + 1, last - first - 1);
    if (!is_token(message.method)) return refuse("the method is no token");
    // A target has no bytes above 126 by RFC 3986; that they are passed on as they are is known (docs).
    if (message.target.empty() || message.target.find_first_of(" \t") != std::string::npos ||
        !is_text(message.target))
      return refuse("the target is empty or has white space");
    if (!version(line.substr(last + 1)) || !fields(message)) return false;
    const std::size_t hosts = message.count("host");
    if (hosts > 1 || (hosts == 0 && http11_)) return refuse("there must be one Host");
    return framing(message, Message::Body::none);
  }

  bool response(Message& message, Asked asked) {
    std::string_view line;
    if (!take_line(line)) return false;
    if (line.size() < 13 || line[8] != ' ' || line[12] != ' ') return refuse("a status line has three parts");
    if (!is_text(line)) return refuse("the reason has control characters");
    const std::string_view code = line.substr(9, 3);
    if (!std::all_of(code.begin(), code.end(), is_digit) || code[0] < '1' || code[0] > '5')
      return refuse("the status is no number from 100 to 599");
    message.status = static_cast<unsigned>((code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0'));
    if (!version(line.substr(0, 8)) || !fields(message)) return false;
    if (asked.with_head || message.status < 200 || message.status == 204 || message.status == 304) {
      if (message.status < 200 || message.status == 204)
        if (message.count("content-length") + message.count("transfer-encoding") > 0)
          return refuse("a response that never has a body is framed");
      message.whole = true;
      return true;
    }
    return framing(message, Message::Body::until_close);
  }

  // Of the message whose head was read last.
  bool body(Message& message) {
    switch (message.body) {
      case Message::Body::none:
        message.whole = true;
        return true;
      case Message::Body::length:
        message.content = take(message.length);
        message.whole = message.content.size() == message.length;
        return message.whole;
      case Message::Body::until_close:
        message.content = take(rest_.size());
        message.whole = true;
        return true;
      case Message::Body::chunked:
        return message.whole = chunks(message);
    }
    return false;
  }

  bool at_end() const { return rest_.empty(); }
  const std::string& refused() const { return refused_; }
  bool refuse(const char* why) {
    if (refused_.empty()) refused_ = why;
    return false;
  }

 private:
  std::string_view take(std::uint64_t size) {
    const std::string_view taken =
        rest_.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(size, rest_.size())));
    rest_.remove_prefix(taken.size());
    return taken;
  }

  // RFC 9112 2.2: lines end in CR LF, and a CR or LF is nothing else.
  bool take_line(std::string_view& line) {
    const auto end = rest_.find('\n');
    if (end == std::string_view::npos) return false;
    line = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    if (line.empty() || line.back() != '\r') return refuse("a bare LF");
    line.remove_suffix(1);
    if (line.find('\r') != std::string_view::npos) return refuse("a bare CR");
    return true;
  }

  bool version(std::string_view text) {
    http11_ = text == "HTTP/1.1";
    return http11_ || text == "HTTP/1.0" || refuse("the version is neither HTTP/1.1 nor HTTP/1.0");
  }

  // RFC 9112 5: to the empty line.
  bool fields(Message& message) {
    for (;;) {
      std::string_view line;
      if (!take_line(line)) return false;
      if (line.empty()) return true;
      const auto colon = line.find(':');
      if (colon == std::string_view::npos) return refuse("a field has no colon");
      if (!is_token(line.substr(0, colon))) return refuse("a field's name is no token");
      const std::string_view value = without_ows(line.substr(colon + 1));
      if (!is_text(value)) return refuse("a field's value has control characters");
      message.fields.emplace_back(lower_case(line.substr(0, colon)), value);
    }
  }

  // RFC 9112 6.3
  bool framing(Message& message, Message::Body otherwise) {
    const std::string* coding = message.find("transfer-encoding");
    const std::string* length = message.find("content-length");
    if (coding != nullptr) {
      if (length != nullptr) return refuse("both Content-Length and Transfer-Encoding");
      if (message.count("transfer-encoding") > 1 || lower_case(*coding) != "chunked")
        return refuse("a coding other than chunked alone");
      if (!http11_) return refuse("Transfer-Encoding in HTTP/1.0");
      message.body = Message::Body::chunked;
      return true;
    }
    if (length == nullptr) {
      message.body = otherwise;
      return true;
    }
    if (message.count("content-length") > 1) return refuse("more than one Content-Length");
    if (length->empty() || length->find_first_not_of("0123456789") != std::string::npos)
      return refuse("Content-Length is no number");
    for (const char digit : *length) {
      if (message.length > (UINT64_MAX >> 1) / 10) return refuse("Content-Length is absurd");
      message.length = message.length * 10 + static_cast<std::uint64_t>(digit - '0');
    }
    message.body = message.length == 0 ? Message::Body::none : Message::Body::length;
    return true;
  }

  // RFC 9112 7.1
  bool chunks(Message& message) {
    for (;;) {
      std::string_view line;
      if (!take_line(line)) return false;
      const auto size_end = std::min(line.find(';'), line.size());
      const std::string_view digits = line.substr(0, size_end);
      if (digits.empty() || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos)
        return refuse("a chunk's size is no hexadecimal number");
      if (!is_text(line.substr(size_end))) return refuse("a chunk extension has control characters");
      std::uint64_t size = 0;
      for (const char c : digits) {
        if (size >= UINT64_MAX >> 4) return refuse("a chunk's size is absurd");
        size = size * 16 + static_cast<std::uint64_t>(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
      }
      if (size == 0) return trailers();
      const std::string_view data = take(size);
      message.content += data;
      if (data.size() < size || !take_line(line)) return false;
      if (!line.empty()) return refuse("a chunk is longer than it says");
    }
  }

  // Their names may be anything with a colon behind it: nobody uses them.
  bool trailers() {
    for (;;) {
      std::string_view line;
      if (!take_line(line)) return false;
      if (line.empty()) return true;
      const auto colon = line.find(':');
      if (colon == std::string_view::npos || colon == 0 ||
          line.substr(0, colon).find_first_of(" \t") != std::string_view::npos || !is_text(line))
        return refuse("a trailer is no field");
    }
  }

  std::string_view rest_;
  bool http11_ = true;
  std::string refused_;
};

}  // namespace

Reading read_requests_strictly(std::string_view bytes) {
  Reading out;
  Reader reader(bytes);
  while (!reader.at_end()) {
    Message message;
    if (!reader.request(message)) break;
    const bool whole = reader.body(message);
    out.messages.push_back(std::move(message));
    if (!whole) break;
  }
  out.refused = reader.refused();
  return out;
}

Reading read_responses_strictly(std::string_view bytes, Asked asked) {
  Reading out;
  Reader reader(bytes);
  while (!reader.at_end()) {
    Message message;
    if (!reader.response(message, asked)) break;
    const unsigned status = message.status;
    const bool whole = reader.body(message);
    out.messages.push_back(std::move(message));
    if (!whole) break;
    if (status < 200 && status != 101) continue;
    if (!reader.at_end()) reader.refuse("bytes follow the final response");
    break;
  }
  out.refused = reader.refused();
  return out;
}

}  // namespace alcove::fuzz
