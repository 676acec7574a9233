#include "proxy/wake.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <cctype>

namespace alcove::proxy {
namespace {

constexpr int kAskAgain_s = 60;

bool contains_word(std::string_view text, std::string_view word) {
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
  };
  return std::search(text.begin(), text.end(), word.begin(), word.end(), same) != text.end();
}

std::string_view value_of(const HeadField* field) {
  return field == nullptr ? std::string_view() : field->value;
}

bool is_prefetch(const RequestHead& head) {
  for (const std::string_view name : {"Sec-Purpose", "Purpose", "X-Moz"}) {
    const std::string_view value = value_of(head.find(name));
    if (contains_word(value, "prefetch") || contains_word(value, "prerender")) return true;
  }
  return false;
}

// Browsers say what a request is for where they trust the connection (https, localhost). Where they do not,
// it is guessed from what only browsers send.
bool is_background(const RequestHead& head, std::string_view agent) {
  if (const HeadField* mode = head.find("Sec-Fetch-Mode"); mode != nullptr) return mode->value != "navigate";
  if (head.websocket) return head.find(http::field::origin) != nullptr;
  if (head.find("X-Requested-With") != nullptr) return true;
  return agent.starts_with("Mozilla/") &&
         !contains_word(value_of(head.find(http::field::accept)), "text/html");
}

}  // namespace

std::string_view name_of(Sleep why) {
  switch (why) {
    case Sleep::none:
    case Sleep::count_:
      break;
    case Sleep::background:
      return "background";
    case Sleep::prefetch:
      return "prefetch";
    case Sleep::bot:
      return "bot";
  }
  return "none";
}

Sleep why_not_wake(const RequestHead& head, const WakeSettings& wake) {
  for (const std::string& prefix : wake.paths)
    if (head.path.starts_with(prefix)) return Sleep::none;
  const std::string_view agent = value_of(head.find(http::field::user_agent));
  for (const std::string& bot : wake.bots)
    if (contains_word(agent, bot)) return Sleep::bot;
  if (is_prefetch(head)) return Sleep::prefetch;
  if (!wake.background && is_background(head, agent)) return Sleep::background;
  return Sleep::none;
}

Failure not_woken(Sleep why) {
  const auto failure = [](const char* text) {
    return Failure{Side::alcove, Phase::lookup, 424, text, kAskAgain_s};
  };
  switch (why) {
    case Sleep::prefetch:
      return failure("no pod runs, and a prefetch does not start one");
    case Sleep::bot:
      return failure("no pod runs, and bots and monitors do not start one (wake.bots)");
    default:
      return failure(
          "no pod runs, and a page's background request does not start one: open or reload the page");
  }
}

}  // namespace alcove::proxy
