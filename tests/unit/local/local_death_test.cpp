// Nothing is left after the process that owns a local runtime has ended, however it ended.
#include "tests/support/local_bench.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <thread>

namespace alcove {
namespace {

// alcove_test_owner as a child of ours.
class OwnerProcess {
 public:
  explicit OwnerProcess(std::vector<std::string> arguments) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    arguments.insert(arguments.begin(), ALCOVE_TEST_OWNER);
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    const int error = ::posix_spawn(&pid_, ALCOVE_TEST_OWNER, &actions, nullptr, pointers.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    if (error != 0) throw std::runtime_error("alcove_test_owner does not start");
    output_ = ::fdopen(ends[0], "r");
  }
  ~OwnerProcess() {
    end(SIGKILL);
    std::fclose(output_);
  }
  std::string line() {
    std::array<char, 1'024> text{};
    return std::fgets(text.data(), text.size(), output_) != nullptr ? text.data() : "";
  }
  pid_t pid() const { return pid_; }
  void end(int signal) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
  std::FILE* output_ = nullptr;
};

bool nothing_left(const std::string& directory, Millis limit = Millis{10'000}) {
  const SteadyTime until = SteadyClock::now() + limit;
  while (!test::processes_of(directory).empty()) {
    if (SteadyClock::now() > until) return false;
    std::this_thread::sleep_for(Millis{10});
  }
  return true;
}

class LocalDeathTest : public testing::Test {
 protected:
  test::TemporaryDirectory directory;

  std::vector<std::string> pods(int count, std::vector<std::string> arguments = {}) {
    std::vector<std::string> all{directory.path(), std::to_string(count), ALCOVE_TEST_POD};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return all;
  }
  void TearDown() override { EXPECT_TRUE(nothing_left(directory.path())); }
};

TEST_F(LocalDeathTest, sigkill_of_the_owner_leaves_no_process) {
  OwnerProcess owner(pods(5, {"stray", "child", "stubborn"}));
  ASSERT_TRUE(owner.line().starts_with("started 5 "));
  ASSERT_GE(test::processes_of(directory.path()).size(), 5U);
  owner.end(SIGKILL);
  EXPECT_TRUE(nothing_left(directory.path()));
}

TEST_F(LocalDeathTest, sigkill_of_owner_and_guard_together_leaves_only_what_the_next_start_removes) {
  OwnerProcess owner(pods(3, {"stray"}));
  const std::string line = owner.line();
  ASSERT_TRUE(line.starts_with("started 3 ")) << line;
  const pid_t guard = std::atoi(line.c_str() + line.find("guard ") + 6);
  ASSERT_GT(guard, 1);
  ::kill(owner.pid(), SIGSTOP);  // so that it cannot tidy up after its guard
  ::kill(guard, SIGKILL);
  owner.end(SIGKILL);

  OwnerProcess next(pods(1));
  EXPECT_TRUE(next.line().starts_with("started 1 "));
  EXPECT_EQ(test::processes_of(directory.path()).size(), 1U) << "strays of the earlier run are still there";
  next.end(SIGKILL);
}

TEST_F(LocalDeathTest, next_start_waits_for_the_guard_of_a_dead_owner_and_begins_clean) {
  OwnerProcess owner(pods(3, {"stubborn"}));
  ASSERT_TRUE(owner.line().starts_with("started 3 "));
  owner.end(SIGKILL);
  OwnerProcess next(pods(1));
  EXPECT_TRUE(next.line().starts_with("started 1 "));
  EXPECT_EQ(test::processes_of(directory.path()).size(), 1U);
  next.end(SIGKILL);
}

TEST_F(LocalDeathTest, second_owner_of_a_directory_is_refused_with_the_pid_of_the_first) {
  OwnerProcess owner(pods(1));
  ASSERT_TRUE(owner.line().starts_with("started 1 "));
  OwnerProcess second(pods(1));
  const std::string line = second.line();
  EXPECT_TRUE(line.starts_with("refused ")) << line;
  EXPECT_NE(line.find("pid " + std::to_string(owner.pid())), std::string::npos) << line;
  EXPECT_EQ(test::processes_of(directory.path()).size(), 1U) << "the first one's pod must not suffer";
}

}  // namespace
}  // namespace alcove
