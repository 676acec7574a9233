#include "local/proc.hpp"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

namespace alcove {
namespace {

TEST(Proc, start_time_is_found_behind_any_command_name) {
  const std::string fields = " S 7 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 424242 0 0";
  EXPECT_EQ(start_time_in("12 (plain)" + fields), 424242U);
  EXPECT_EQ(start_time_in("12 (a) b) (c d)" + fields), 424242U);
  EXPECT_EQ(parent_in("12 (a) R (b)" + fields), 7);
  EXPECT_FALSE(start_time_in("12 (short) S 1 2"));
  EXPECT_FALSE(start_time_in(""));
}

TEST(Proc, process_is_itself_until_it_has_gone) {
  const pid_t pid = ::fork();
  if (pid == 0)
    for (;;) ::pause();
  const auto start = start_time_of(pid);
  ASSERT_TRUE(start);
  EXPECT_TRUE(is_same({pid, *start}));
  EXPECT_FALSE(is_same({pid, *start + 1}));
  const auto children = children_of(::getpid());
  EXPECT_NE(std::find(children.begin(), children.end(), pid), children.end());
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  EXPECT_FALSE(is_same({pid, *start}));
}

TEST(Proc, mark_is_read_from_the_environment_a_process_began_with) {
  const pid_t pid = ::fork();
  if (pid == 0)
    ::execle("/bin/sleep", "sleep", "60", nullptr,
             std::array<const char*, 3>{"A=1", "ALCOVE_POD=u-1", nullptr}.data());
  while (marker_of(pid).empty()) ::usleep(1'000);
  EXPECT_EQ(marker_of(pid), "u-1");
  EXPECT_EQ(marker_of(::getpid()), "");
  MarkedPods younger{{"u-1", *start_time_of(pid) + 1}};
  EXPECT_TRUE(kill_marked(younger)) << "it is older than the pod: not ours";
  EXPECT_EQ(::waitpid(pid, nullptr, WNOHANG), 0);
  MarkedPods same{{"u-1", *start_time_of(pid)}};
  ::signal(SIGCHLD, SIG_IGN);  // so that nobody has to reap it
  EXPECT_TRUE(kill_marked(same));
  ::signal(SIGCHLD, SIG_DFL);
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(Proc, ends_are_told_in_words) {
  EXPECT_EQ(exit_text(3 << 8), "exited with code 3");
  EXPECT_EQ(exit_text(SIGKILL), "was killed by signal 9 (SIGKILL)");
}

}  // namespace
}  // namespace alcove
