#include "local/state_dir.hpp"

#include "local/log_file.hpp"
#include "tests/support/local_bench.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace alcove {
namespace {

namespace fs = std::filesystem;

class StateDirTest : public testing::Test {
 protected:
  test::TemporaryDirectory directory;
  PodName name{SessionKey("demo", "ada"), 1};

  std::unique_ptr<StateDir> open() { return std::move(StateDir::open(directory.path()).value()); }
  PodRecord record() const {
    PodRecord r;
    r.name = name;
    r.app = "demo";
    r.user = "ada \"quoted\" \xc3\xa9";
    r.uid = "local-x-1";
    r.endpoint = parse_endpoint("127.96.1.2:8080").value();
    r.leader = {4242, 999};
    r.boot_id = boot_id();
    r.ready = true;
    return r;
  }
};

TEST_F(StateDirTest, record_comes_back_as_it_was_written) {
  const PodRecord before = record();
  const auto back = record_in(to_line(before));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->name, before.name);
  EXPECT_EQ(back->user, before.user);
  EXPECT_EQ(back->uid, before.uid);
  EXPECT_EQ(back->endpoint, before.endpoint);
  EXPECT_EQ(back->leader.pid, before.leader.pid);
  EXPECT_EQ(back->leader.start_time, before.leader.start_time);
  EXPECT_EQ(back->ready, true);
}

TEST_F(StateDirTest, torn_or_foreign_records_are_no_records) {
  const std::string line = to_line(record());
  EXPECT_FALSE(record_in(line.substr(0, line.size() / 2)));
  EXPECT_FALSE(record_in(line.substr(0, line.size() - 1)));
  EXPECT_FALSE(record_in("[]\n"));
  EXPECT_FALSE(record_in("{\"key\": 5}\n"));
  EXPECT_FALSE(record_in("\n"));
  EXPECT_FALSE(record_in(""));
}

TEST_F(StateDirTest, last_whole_line_of_a_record_counts) {
  PodRecord first = record();
  first.ready = false;
  const std::string lines = to_line(first) + to_line(record());
  const auto last = record_in(lines);
  ASSERT_TRUE(last);
  EXPECT_TRUE(last->ready);
  const auto torn = record_in(lines.substr(0, lines.size() - 1));
  ASSERT_TRUE(torn);
  EXPECT_FALSE(torn->ready);
  // Half a line that could not be taken back, with the next state behind it.
  const auto glued = record_in(to_line(first) + to_line(first).substr(0, 20) + to_line(record()));
  ASSERT_TRUE(glued);
  EXPECT_FALSE(glued->ready);
}

TEST_F(StateDirTest, next_state_that_found_no_room_leaves_the_one_before) {
  auto dir = open();
  ASSERT_TRUE(dir->make_working_directory(name));
  PodRecord first = record();
  first.ready = false;
  ASSERT_TRUE(dir->write(first));
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit little{to_line(first).size() + 20, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &little);  // a write is cut short here as it is by a full disk
  const Result<void> written = dir->write(record());
  ::setrlimit(RLIMIT_FSIZE, &before);
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().text.find("cannot be written"), std::string::npos) << written.error().text;
  const auto left = dir->read(name);
  ASSERT_TRUE(left);
  EXPECT_FALSE(left->ready);
  ASSERT_TRUE(dir->write(record()));
  const auto next = dir->read(name);
  ASSERT_TRUE(next);
  EXPECT_TRUE(next->ready);
}

TEST_F(StateDirTest, working_directory_that_is_a_file_is_named) {
  auto dir = open();
  fs::create_directories(fs::path(dir->working_directory(name)).parent_path());
  std::ofstream(dir->working_directory(name)) << "x";
  const Result<void> made = dir->make_working_directory(name);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().text.find(dir->working_directory(name)), std::string::npos) << made.error().text;
}

TEST_F(StateDirTest, end_of_a_pod_takes_its_record_and_directory_and_keeps_its_log) {
  auto dir = open();
  ASSERT_TRUE(dir->make_working_directory(name));
  std::ofstream(dir->working_directory(name) + "/file") << "x";
  ASSERT_TRUE(dir->write(record()));
  LogWriter(dir->log_stem(name), 4'096).write("said\n");
  EXPECT_EQ(dir->records().size(), 1U);
  dir->remove(name);
  EXPECT_TRUE(dir->records().empty());
  EXPECT_FALSE(fs::exists(dir->working_directory(name)));
  EXPECT_EQ(read_log(dir->log_stem(name), 0, 100)->text, "said\n");
}

TEST_F(StateDirTest, directory_that_the_app_made_unreadable_goes_too) {
  auto dir = open();
  ASSERT_TRUE(dir->make_working_directory(name));
  fs::create_directories(dir->working_directory(name) + "/locked/in");
  ::chmod((dir->working_directory(name) + "/locked").c_str(), 0);
  dir->remove(name);
  dir.reset();  // waits for the removal
  EXPECT_TRUE(fs::is_empty(directory.path() + "/trash"));
}

TEST_F(StateDirTest, only_the_last_logs_of_a_session_are_kept) {
  auto dir = open();
  for (Generation generation = 1; generation <= 6; ++generation) {
    const PodName pod{name.key, generation};
    ASSERT_TRUE(dir->make_working_directory(pod));
    LogWriter(dir->log_stem(pod), 4'096).write("said\n");
    const std::string file = dir->log_stem(pod) + ".0.log";
    fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(10 - generation));
    dir->remove(pod);
  }
  EXPECT_EQ(dir->latest(name.key), 6U);
  EXPECT_FALSE(read_log(dir->log_stem({name.key, 3}), 0, 10));
  EXPECT_TRUE(read_log(dir->log_stem({name.key, 4}), 0, 10));
}

TEST_F(StateDirTest, latest_is_what_runs_though_it_has_written_nothing_yet) {
  auto dir = open();
  EXPECT_EQ(dir->latest(name.key), 0U);
  const PodName before{name.key, name.generation + 1};
  ASSERT_TRUE(dir->make_working_directory(before));
  LogWriter(dir->log_stem(before), 4'096).write("said\n");
  dir->remove(before);
  EXPECT_EQ(dir->latest(name.key), before.generation);
  ASSERT_TRUE(dir->write(record()));
  EXPECT_EQ(dir->latest(name.key), name.generation);
}

TEST_F(StateDirTest, new_pod_of_an_old_name_begins_with_an_empty_log) {
  auto dir = open();
  ASSERT_TRUE(dir->make_working_directory(name));
  LogWriter(dir->log_stem(name), 4'096).write("of an earlier life\n");
  dir->remove(name);
  ASSERT_TRUE(dir->make_working_directory(name));
  EXPECT_FALSE(read_log(dir->log_stem(name), 0, 100));
}

TEST_F(StateDirTest, second_owner_is_told_the_pid_of_the_first) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const pid_t first = ::fork();
  if (first == 0) {
    auto dir = open();
    const bool locked = dir->lock().has_value();
    [[maybe_unused]] const ssize_t n = ::write(pipe_ends[1], &locked, 1);
    for (;;) ::pause();
  }
  char locked = 0;
  ASSERT_EQ(::read(pipe_ends[0], &locked, 1), 1);
  ASSERT_EQ(locked, 1);
  auto dir = open();
  EXPECT_TRUE(dir->has_owner());
  const Result<void> refused = dir->lock();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("pid " + std::to_string(first)), std::string::npos)
      << refused.error().text;
  EXPECT_NE(refused.error().text.find(directory.path()), std::string::npos);
  ::kill(first, SIGKILL);
  ::waitpid(first, nullptr, 0);
  EXPECT_FALSE(dir->has_owner());
  EXPECT_TRUE(dir->lock());
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
}

TEST_F(StateDirTest, uids_say_which_directory_they_come_from) {
  auto dir = open();
  const std::string uid = dir->new_uid();
  EXPECT_NE(uid, dir->new_uid());
  EXPECT_TRUE(dir->is_ours(uid));
  dir.reset();
  EXPECT_TRUE(open()->is_ours(uid)) << "the directory's name for itself lasts";
  test::TemporaryDirectory other;
  EXPECT_FALSE(StateDir::open(other.path()).value()->is_ours(uid));
}

TEST_F(StateDirTest, directory_that_cannot_be_made_is_named_with_the_setting) {
  std::ofstream(directory.path() + "/file") << "x";
  const auto refused = StateDir::open(directory.path() + "/file/below");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("runtime.local.directory"), std::string::npos);
}

}  // namespace
}  // namespace alcove
