// Which requests may start a pod that is at rest.
#include "proxy/wake.hpp"

#include <gtest/gtest.h>

#include <string>

namespace alcove::proxy {
namespace {

Sleep judge(const std::string& fields, const WakeSettings& wake = {}, const std::string& path = "/") {
  static RequestHead head;
  static std::string text;
  text = "GET " + path + " HTTP/1.1\r\nHost: demo.localhost\r\n" + fields + "\r\n";
  const auto failure = parse_request_head(text, HeadLimits{32768, 100}, head);
  EXPECT_FALSE(failure.has_value()) << failure->text;
  return why_not_wake(head, wake);
}

const std::string kBrowser = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0\r\n";
const std::string kHandshake =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

TEST(Wake, navigations_and_programs_that_are_no_browser_may) {
  EXPECT_EQ(judge(kBrowser + "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"), Sleep::none);
  EXPECT_EQ(judge(kBrowser + "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"), Sleep::none)
      << "over plain HTTP browsers say nothing more";
  EXPECT_EQ(judge("User-Agent: curl/7.88.1\r\nAccept: */*\r\n"), Sleep::none);
  EXPECT_EQ(judge(""), Sleep::none);
  EXPECT_EQ(judge("User-Agent: Python/3.11 websockets/10.4\r\n" + kHandshake), Sleep::none);
}

TEST(Wake, what_a_page_asks_for_in_the_background_may_not) {
  for (const char* mode : {"cors", "no-cors", "same-origin", "websocket"})
    EXPECT_EQ(judge(kBrowser + "Sec-Fetch-Mode: " + mode + "\r\n"), Sleep::background) << mode;
  EXPECT_EQ(judge(kBrowser + "Accept: */*\r\n"), Sleep::background);
  EXPECT_EQ(judge("X-Requested-With: XMLHttpRequest\r\n"), Sleep::background);
  EXPECT_EQ(judge(kBrowser + "Origin: http://demo.localhost\r\n" + kHandshake), Sleep::background);
  WakeSettings wake;
  wake.background = true;
  EXPECT_EQ(judge(kBrowser + "Sec-Fetch-Mode: cors\r\n", wake), Sleep::none);
}

TEST(Wake, guesses_and_machines_may_not) {
  EXPECT_EQ(judge(kBrowser + "Sec-Fetch-Mode: navigate\r\nSec-Purpose: prefetch;prerender\r\n"),
            Sleep::prefetch);
  EXPECT_EQ(judge(kBrowser + "X-Moz: prefetch\r\nAccept: text/html\r\n"), Sleep::prefetch);
  for (const char* agent : {"Mozilla/5.0 (compatible; Googlebot/2.1)", "Prometheus/2.42", "kube-probe/1.30",
                            "UptimeRobot/2.0", "Slackbot-LinkExpanding 1.0"})
    EXPECT_EQ(judge(std::string("Accept: text/html\r\nUser-Agent: ") + agent + "\r\n"), Sleep::bot) << agent;
  WakeSettings wake;
  wake.bots = {"acme-scanner"};
  EXPECT_EQ(judge("User-Agent: kube-probe/1.30\r\n", wake), Sleep::none);
  EXPECT_EQ(judge("User-Agent: ACME-Scanner 3\r\n", wake), Sleep::bot);
}

TEST(Wake, listed_paths_may_whoever_asks) {
  WakeSettings wake;
  wake.paths = {"/hooks/"};
  EXPECT_EQ(judge("User-Agent: Googlebot\r\n", wake, "/hooks/push"), Sleep::none);
  EXPECT_EQ(judge("User-Agent: Googlebot\r\n", wake, "/hook"), Sleep::bot);
}

TEST(Wake, refusal_says_what_to_do_and_when_to_ask_again) {
  const Failure failure = not_woken(Sleep::background);
  EXPECT_EQ(failure.status, 424);
  EXPECT_GT(failure.retry_after_s, 0);
  EXPECT_NE(failure.text.find("open or reload the page"), std::string::npos);
}

}  // namespace
}  // namespace alcove::proxy
