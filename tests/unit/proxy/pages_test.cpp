#include "proxy/pages.hpp"

#include <gtest/gtest.h>

#include <regex>
#include <set>

namespace alcove::proxy {
namespace {

constexpr std::string_view kHostile = "\"'><script>alert(1)</script>&{nonce}{script}";

std::vector<Page> all_pages(std::string_view text) {
  return {waiting_page(text, text, text), sign_in_page(text, text), account_page(text), signed_out_page(),
          error_page(503, text, text, text, text)};
}

std::string nonce_of(const Page& page) {
  std::smatch found;
  EXPECT_TRUE(std::regex_search(page.csp, found, std::regex("style-src 'nonce-([A-Za-z0-9_-]{22})'")));
  return found[1];
}

std::size_t count(const std::string& text, std::string_view what) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size())) ++n;
  return n;
}

TEST(pages, escape_text_from_outside) {
  for (const Page& page : all_pages(kHostile)) {
    EXPECT_EQ(page.html.find("<script>"), std::string::npos);
    EXPECT_EQ(page.html.find("'><"), std::string::npos);
    // What a value contains is never filled in.
    EXPECT_EQ(count(page.html, "{nonce}"), count(page.html, "&amp;{nonce}"));
  }
}

TEST(pages, ask_for_no_other_file) {
  for (const Page& page : all_pages("text")) {
    EXPECT_EQ(page.html.find(" src="), std::string::npos);
    EXPECT_EQ(page.html.find("<link"), std::string::npos);
    EXPECT_EQ(page.html.find("@import"), std::string::npos);
    EXPECT_EQ(page.html.find("http://"), std::string::npos);
    EXPECT_EQ(page.html.find("https://"), std::string::npos);
  }
}

TEST(pages, obey_their_own_policy) {
  std::set<std::string> nonces;
  for (const Page& page : all_pages("text")) {
    const std::string nonce = nonce_of(page);
    EXPECT_TRUE(nonces.insert(nonce).second) << "a nonce must not be used twice";
    EXPECT_EQ(page.csp,
              "default-src 'none'; style-src 'nonce-" + nonce + "'; script-src 'nonce-" + nonce +
                  "'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'");
    EXPECT_EQ(count(page.html, "<style"), count(page.html, "<style nonce=\"" + nonce + "\">"));
    EXPECT_EQ(count(page.html, "<script"), count(page.html, "<script nonce=\"" + nonce + "\">"));
    EXPECT_EQ(page.html.find(" style="), std::string::npos);
    EXPECT_FALSE(std::regex_search(page.html, std::regex(" on[a-z]+=")));
  }
}

TEST(pages, are_complete_documents_in_both_colour_schemes) {
  for (const Page& page : all_pages("text")) {
    EXPECT_TRUE(page.html.starts_with("<!doctype html>"));
    EXPECT_NE(page.html.find("<html lang=\"en\">"), std::string::npos);
    EXPECT_NE(page.html.find("prefers-color-scheme: dark"), std::string::npos);
    EXPECT_EQ(count(page.html, "<h1"), 1U);
    EXPECT_EQ(count(page.html, "<main>"), 1U);
    for (const std::string_view name :
         {"{title}", "{head}", "{style}", "{body}", "{footer}", "{light}", "{attributes}", "{app}", "{user}",
          "{text}", "{facts}", "{button}", "{to}", "{problem}"})
      EXPECT_EQ(page.html.find(name), std::string::npos) << name;
  }
}

TEST(pages, the_waiting_page_works_without_scripts_and_tells_screen_readers) {
  const Page page = waiting_page("notebook", "ada", "/.alcove/events?for=notebook");
  EXPECT_NE(page.html.find("<noscript><meta http-equiv=\"refresh\" content=\"2\"></noscript>"),
            std::string::npos);
  EXPECT_NE(page.html.find("aria-live=\"polite\""), std::string::npos);
  EXPECT_NE(page.html.find("data-events=\"/.alcove/events?for=notebook\""), std::string::npos);
  EXPECT_NE(page.html.find("ada"), std::string::npos);
}

TEST(pages, the_sign_in_form_carries_where_to_go) {
  const Page page = sign_in_page("/lab?a=1&b=\"2\"", "");
  EXPECT_NE(page.html.find("<form method=\"post\">"), std::string::npos);
  EXPECT_NE(page.html.find("name=\"user\""), std::string::npos);
  EXPECT_NE(page.html.find("name=\"to\" type=\"hidden\" value=\"/lab?a=1&amp;b=&quot;2&quot;\""),
            std::string::npos);
  EXPECT_NE(page.html.find("Dev sign-in"), std::string::npos);
  EXPECT_NE(sign_in_page("/", "the user name is empty").html.find(">The user name is empty.</p>"),
            std::string::npos);
}

TEST(pages, the_account_page_signs_out_by_post) {
  EXPECT_NE(account_page("ada").html.find("<form method=\"post\" action=\"/.alcove/sign-out\">"),
            std::string::npos);
}

TEST(pages, only_errors_that_may_pass_offer_another_try) {
  EXPECT_NE(error_page(503, "t", "x", "AW", "id").html.find("Try again"), std::string::npos);
  EXPECT_EQ(error_page(404, "t", "x", "CH", "id").html.find("Try again"), std::string::npos);
}

TEST(is_local_path, takes_paths_of_this_host_only) {
  for (const std::string_view to : {"/", "/lab", "/lab?x=//y#z", "/a//b", "/.alcove/account"})
    EXPECT_TRUE(is_local_path(to)) << to;
  for (const std::string_view to :
       {"", "lab", "//evil.org", "///evil.org", "/\\evil.org", "\\\\evil.org", "https://evil.org",
        "javascript:alert(1)", "/\t/evil.org", "/a\r\nb", " /", "/\x7F", "?x", "#x"})
    EXPECT_FALSE(is_local_path(to)) << to;
  EXPECT_FALSE(is_local_path(std::string_view("/a\0b", 4)));
}

}  // namespace
}  // namespace alcove::proxy
