#include "local/log_file.hpp"

#include "tests/support/local_bench.hpp"

#include <sys/resource.h>

#include <csignal>
#include <filesystem>

namespace alcove {
namespace {

class LogFileTest : public testing::Test {
 protected:
  test::TemporaryDirectory directory;
  std::string stem = directory.path() + "/1";

  std::uint64_t on_disk() const {
    std::uint64_t bytes = 0;
    for (const auto& file : std::filesystem::directory_iterator(directory.path())) bytes += file.file_size();
    return bytes;
  }
};

TEST_F(LogFileTest, what_was_written_is_read_from_any_offset) {
  LogWriter log(stem, 1 << 20);
  log.write("hello ");
  log.write("world\n");
  EXPECT_EQ(read_log(stem, 0, 1'000)->text, "hello world\n");
  const LogText rest = read_log(stem, 6, 1'000).value();
  EXPECT_EQ(rest.text, "world\n");
  EXPECT_EQ(rest.next, 12U);
  EXPECT_TRUE(rest.at_end);
  EXPECT_EQ(read_log(stem, 0, 5)->text, "hello");
  EXPECT_FALSE(read_log(stem, 0, 5)->at_end);
}

TEST_F(LogFileTest, limit_holds_at_every_moment_and_the_newest_stays) {
  constexpr std::uint64_t kLimit = 16'384;
  LogWriter log(stem, kLimit);
  std::string all;
  for (int i = 0; i < 4'000; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    all += line;
    log.write(line);
    ASSERT_LE(on_disk(), kLimit);
  }
  EXPECT_GE(on_disk(), kLimit / 4);
  const LogText kept = read_log(stem, 0, 1 << 20).value();
  EXPECT_EQ(kept.next, all.size()) << "offsets count all that was ever written";
  EXPECT_EQ(kept.text, all.substr(all.size() - kept.text.size()));
}

TEST_F(LogFileTest, one_write_larger_than_the_limit_keeps_its_end) {
  LogWriter log(stem, 8'192);
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += static_cast<char>('a' + i % 26);
  log.write(text);
  EXPECT_LE(on_disk(), 8'192U);
  EXPECT_TRUE(text.ends_with(read_log(stem, 0, 1 << 20)->text));
}

TEST_F(LogFileTest, follower_that_fell_behind_goes_on_with_the_oldest_kept) {
  LogWriter log(stem, 4'096);
  log.write("first\n");
  const std::uint64_t offset = read_log(stem, 0, 100)->next;
  for (int i = 0; i < 1'000; ++i) log.write("and more of it\n");
  const LogText later = read_log(stem, offset, 1 << 20).value();
  EXPECT_GT(later.next - later.text.size(), offset);
  EXPECT_TRUE(later.at_end);
}

TEST_F(LogFileTest, full_disk_drops_and_counts_and_goes_on_afterwards) {
  struct rlimit before {};
  ::getrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, SIG_IGN);
  LogWriter log(stem, 1 << 20);
  log.write(std::string(1'000, 'a'));
  const struct rlimit full { 1'000, before.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
  log.write(std::string(500, 'b'));
  log.write(std::string(500, 'c'));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(log.dropped(), 1'000U);
  log.write("after\n");
  const std::string text = read_log(stem, 0, 1 << 20)->text;
  EXPECT_NE(text.find("1000 bytes of output were dropped here"), std::string::npos);
  EXPECT_TRUE(text.ends_with("after\n"));
  EXPECT_EQ(text.find('b', 1'000), text.find("bytes")) << "dropped output came back";
}

TEST_F(LogFileTest, last_lines_are_safe_to_show_and_short) {
  LogWriter log(stem, 1 << 20);
  log.write("begin\n\nbad \x1b[31mcolour\nlast line\n");
  EXPECT_EQ(last_lines(stem, 200), "begin | bad \\x1b[31mcolour | last line");
  EXPECT_LE(last_lines(stem, 9).size(), 12U);
  EXPECT_EQ(last_lines(directory.path() + "/none", 100), "");
}

TEST_F(LogFileTest, logs_of_other_generations_are_others) {
  LogWriter one(stem, 4'096);
  LogWriter eleven(directory.path() + "/11", 4'096);
  one.write("one");
  eleven.write("eleven");
  EXPECT_EQ(read_log(stem, 0, 100)->text, "one");
  remove_log(stem);
  EXPECT_FALSE(read_log(stem, 0, 100));
  EXPECT_EQ(read_log(directory.path() + "/11", 0, 100)->text, "eleven");
}

}  // namespace
}  // namespace alcove
