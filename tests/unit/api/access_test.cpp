#include "api/access.hpp"

#include <gtest/gtest.h>

namespace alcove {
namespace {

int refused(AccessQuestion question, std::string_view token = {}) {
  const auto refusal = refuse_access(question, token);
  return refusal ? refusal->status : 0;
}

AccessQuestion from(std::string_view host) {
  AccessQuestion out;
  out.host = host;
  return out;
}

TEST(Access, without_a_token_is_for_loopback_names) {
  for (const char* host : {"127.0.0.1:8081", "127.0.0.1", "localhost:8081", "LocalHost", "localhost.",
                           "[::1]:8081", "[::1]", "alcove.localhost:1", "127.9.9.9"})
    EXPECT_EQ(refused(from(host)), 0) << host;
}

TEST(Access, by_a_rebound_name_is_refused) {
  for (const char* host :
       {"", "evil.example", "evil.example:8081", "localhost.evil.example", "notlocalhost", ".localhost",
        "127.0.0.1.evil.example", "10.0.0.1", "0.0.0.0", "[::]", "[::1", "127.1"})
    EXPECT_EQ(refused(from(host)), 403) << host;
}

// Beast lets no NUL through to here; this must not be all that stands between a page and a name made of one.
TEST(Access, by_a_name_with_a_nul_is_refused) {
  using namespace std::string_view_literals;
  for (const std::string_view host :
       {"127.0.0.1\0.evil.example"sv, "[::1\0]"sv, "evil.example\0.localhost"sv, "127.0.0.1\0"sv})
    EXPECT_EQ(refused(from(host)), 403) << host;
}

TEST(Access, from_another_page_may_look_but_not_change) {
  AccessQuestion question = from("127.0.0.1:8081");
  question.fetch_site = "cross-site";
  question.origin = "http://evil.example";
  EXPECT_EQ(refused(question), 0) << "no page can read the answer, the browser sees to it";
  question.changes = true;
  EXPECT_EQ(refused(question), 403);
  question.fetch_site = "";
  EXPECT_EQ(refused(question), 403) << "old browsers send Origin alone";
  question.origin = "null";
  EXPECT_EQ(refused(question), 403);
  question.origin = "http://127.0.0.1:8081";
  EXPECT_EQ(refused(question), 0);
  question.fetch_site = "same-origin";
  EXPECT_EQ(refused(question), 0);
  question.origin = "";
  question.fetch_site = "";
  EXPECT_EQ(refused(question), 0) << "curl";
}

TEST(Access, with_a_token_is_for_who_sends_it) {
  AccessQuestion question = from("anything.example");
  EXPECT_EQ(refused(question, "sesame"), 401);
  for (const char* wrong :
       {"sesame", "Bearer", "Bearer ", "Bearer sesam", "Bearer sesame2", "Basic sesame", "Bearer Sesame"}) {
    question.authorization = wrong;
    EXPECT_EQ(refused(question, "sesame"), 401) << wrong;
  }
  for (const char* right : {"Bearer sesame", "bearer sesame", "Bearer  sesame "}) {
    question.authorization = right;
    EXPECT_EQ(refused(question, "sesame"), 0) << right;
  }
}

}  // namespace
}  // namespace alcove
