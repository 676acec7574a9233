#include "proxy/text_pool.hpp"

#include <gtest/gtest.h>

#include <string>

namespace alcove::proxy {
namespace {

TEST(TextPool, a_new_text_has_the_usual_room) {
  TextPool pool(512);
  EXPECT_GE(PooledText(pool)->capacity(), 512U);
}

TEST(TextPool, a_text_that_comes_back_is_empty_and_keeps_its_space) {
  TextPool pool;
  const char* space = nullptr;
  {
    PooledText text(pool);
    text->assign(1000, 'x');
    space = text->data();
  }
  PooledText again(pool);
  EXPECT_TRUE(again->empty());
  EXPECT_EQ(again->data(), space);
}

TEST(TextPool, a_released_text_is_the_next_one_and_nothing_comes_back_a_second_time) {
  TextPool pool(512);
  const char* space = nullptr;
  {
    PooledText text(pool);
    space = text->data();
    text.release();
    EXPECT_TRUE(text->empty());
  }
  PooledText again(pool);
  EXPECT_EQ(again->data(), space);
}

TEST(TextPool, a_text_that_has_grown_too_long_is_not_kept) {
  TextPool pool(512);
  { PooledText(pool)->assign(64 * 1024, 'x'); }
  EXPECT_LT(PooledText(pool)->capacity(), 64U * 1024);
}

}  // namespace
}  // namespace alcove::proxy
