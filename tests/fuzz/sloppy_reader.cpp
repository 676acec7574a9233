#include "tests/fuzz/sloppy_reader.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace alcove::fuzz {
namespace {

bool is_blank(char c) {
  return static_cast<unsigned char>(c) <= ' ';
}

std::string trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return std::string(text);
}

std::string lower_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::uint64_t number(const std::string& text, int base, const Habits& habits) {
  if (habits.c_numbers) return std::strtoull(text.c_str(), nullptr, base);
  // The digits that are there, wherever they are.
  std::string digits;
  for (const char c : text)
    if (base == 16 ? std::isxdigit(static_cast<unsigned char>(c))
                   : std::isdigit(static_cast<unsigned char>(c)))
      digits.push_back(c);
  return std::strtoull(digits.c_str(), nullptr, base);
}

class Reader {
 public:
  Reader(std::string_view bytes, const Habits& habits) : rest_(bytes), habits_(habits) {}

  bool at_end() const { return rest_.empty(); }

  bool request(Message& message) {
    std::string line;
    do {
      if (!take_line(line)) return false;
    } while (trimmed(line).empty());
    line = trimmed(line);
    const auto first = std::min(line.find_first_of(" \t"), line.size());
    message.method = line.substr(0, first);
    std::string target = trimmed(line.substr(first));
    const auto last = target.find_last_of(" \t");
    if (last != std::string::npos && lower_case(target.substr(last + 1)).starts_with("http/"))
      target = trimmed(target.substr(0, last));
    message.target = target;
    if (!fields(message)) return false;
    framing(message, Message::Body::none);
    return true;
  }

  bool response(Message& message, Asked asked) {
    std::string line;
    if (!take_line(line)) return false;
    const auto space = std::min(line.find_first_of(" \t"), line.size());
    message.status = static_cast<unsigned>(std::strtoul(line.substr(space).c_str(), nullptr, 10));
    if (!fields(message)) return false;
    if (asked.with_head || message.status < 200 || message.status == 204 || message.status == 304)
      return true;
    framing(message, Message::Body::until_close);
    return true;
  }

  void body(Message& message) {
    switch (message.body) {
      case Message::Body::none:
        message.whole = true;
        break;
      case Message::Body::length:
        message.content = take(message.length);
        message.whole = message.content.size() == message.length;
        break;
      case Message::Body::until_close:
        message.content = take(rest_.size());
        message.whole = true;
        break;
      case Message::Body::chunked:
        message.whole = chunks(message);
        break;
    }
  }

 private:
  std::string_view take(std::uint64_t size) {
    const std::string_view taken =
        rest_.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(size, rest_.size())));
    rest_.remove_prefix(taken.size());
    return taken;
  }

  bool take_line(std::string& line) {
    const auto end = rest_.find_first_of(habits_.cr_ends_line ? "\r\n" : "\n");
    if (end == std::string_view::npos) return false;
    line = rest_.substr(0, end);
    const bool was_cr = rest_[end] == '\r';
    rest_.remove_prefix(end + 1);
    if (was_cr && rest_.starts_with('\n')) rest_.remove_prefix(1);
    if (line.ends_with('\r')) line.pop_back();
    if (habits_.nul_ends_text) line.resize(std::min(line.find('\0'), line.size()));
    return true;
  }

  bool fields(Message& message) {
    std::string line;
    for (;;) {
      if (!take_line(line)) return false;
      if (line.empty()) return true;
      if (habits_.folds && is_blank(line.front()) && !message.fields.empty()) {
        message.fields.back().second += " " + trimmed(line);
        continue;
      }
      const auto colon = line.find(':');
      if (colon == std::string::npos) continue;
      std::string name = lower_case(trimmed(line.substr(0, colon)));
      if (habits_.underscores) std::replace(name.begin(), name.end(), '_', '-');
      message.fields.emplace_back(std::move(name), trimmed(line.substr(colon + 1)));
    }
  }

  void framing(Message& message, Message::Body otherwise) {
    bool chunked = false;
    bool has_length = false;
    for (const auto& [name, value] : message.fields) {
      if (name == "transfer-encoding") chunked |= lower_case(value).find("chunked") != std::string::npos;
      if (name == "content-length" && (!has_length || habits_.last_length)) {
        message.length = number(value, 10, habits_);
        has_length = true;
      }
    }
    if (chunked && !(habits_.length_wins && has_length)) {
      message.body = Message::Body::chunked;
      message.length = 0;
    } else if (has_length) {
      message.body = message.length == 0 ? Message::Body::none : Message::Body::length;
    } else {
      message.body = otherwise;
    }
  }

  bool chunks(Message& message) {
    std::string line;
    for (;;) {
      if (!take_line(line)) return false;
      const std::uint64_t size = number(line.substr(0, line.find(';')), 16, habits_);
      if (size == 0) break;
      const std::string_view data = take(size);
      message.content += data;
      if (data.size() < size || rest_.empty()) return false;
      if (rest_.starts_with('\r')) rest_.remove_prefix(1);
      if (rest_.starts_with('\n')) rest_.remove_prefix(1);
    }
    do {
      if (!take_line(line)) return false;
    } while (!line.empty());
    return true;
  }

  std::string_view rest_;
  const Habits& habits_;
};

}  // namespace

std::vector<Message> read_requests_sloppily(std::string_view bytes, const Habits& habits) {
  std::vector<Message> out;
  Reader reader(bytes, habits);
  while (!reader.at_end()) {
    Message message;
    if (!reader.request(message)) break;
    reader.body(message);
    out.push_back(std::move(message));
    if (!out.back().whole) break;
  }
  return out;
}

std::vector<Message> read_responses_sloppily(std::string_view bytes, const Habits& habits, Asked asked) {
  std::vector<Message> out;
  Reader reader(bytes, habits);
  while (!reader.at_end()) {
    Message message;
    if (!reader.response(message, asked)) break;
    reader.body(message);
    out.push_back(std::move(message));
    if (!out.back().whole || out.back().status >= 200 || out.back().status == 101) break;
  }
  return out;
}

}  // namespace alcove::fuzz
