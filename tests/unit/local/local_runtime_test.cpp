// The local runtime with real processes. What every runtime must do is in
// tests/contract/runtime_contract_test.cpp.
#include "local/log_file.hpp"
#include "tests/support/local_bench.hpp"

#include <boost/asio/read.hpp>
#include <fmt/format.h>

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

namespace alcove {
namespace {

namespace fs = std::filesystem;

class LocalRuntimeTest : public testing::Test, public test::LocalBench {
 protected:
  LocalRuntimeTest() : LocalBench(ALCOVE_TEST_POD) {}

  std::size_t processes(const std::string& uid) { return test::processes_of_pod(uid).size(); }

  // The pod's output once there are `bytes` of it: it may be ready before its guard has read what it wrote.
  LogChunk written(Runtime& from, const PodName& name, std::size_t bytes) {
    LogRequest request;
    request.name = name;
    LogChunk chunk;
    EXPECT_TRUE(test::run_until(context, [&] {
      const Result<LogChunk> read = test::run(context, from.logs(request)).value();
      EXPECT_TRUE(read) << "it runs, so there is an answer, be it empty: " << read.error().text;
      if (read) chunk = *read;
      return !read || chunk.text.size() >= bytes;
    })) << chunk.text;
    return chunk;
  }
};

TEST_F(LocalRuntimeTest, fifty_parallel_starts_have_fifty_addresses_and_know_their_users) {
  std::vector<Pod> pods;
  int failed = 0;
  for (int i = 0; i < 50; ++i) {
    launch(context.get_executor(), runtime->start(spec("user" + std::to_string(i))),
           [&](const std::exception_ptr&, Result<Pod> pod) {
             if (pod) {
               pods.push_back(*pod);
             } else {
               ++failed;
               ADD_FAILURE() << pod.error().text;
             }
           });
  }
  ASSERT_TRUE(test::run_until(
      context, [&] { return pods.size() + static_cast<std::size_t>(failed) == 50; }, Millis{60'000}));
  std::set<std::string> addresses;
  for (const Pod& pod : pods) {
    addresses.insert(to_string(pod.endpoint));
    EXPECT_NE(test::get(pod.endpoint).find(pod.name.key.text() + " 1 " + pod.user + " "), std::string::npos);
  }
  EXPECT_EQ(addresses.size(), pods.size());
}

TEST_F(LocalRuntimeTest, stop_takes_children_and_runaway_grandchildren_with_it) {
  const Pod pod = start(spec_with({"child", "stray", "stray"})).value();
  ASSERT_TRUE(test::run_until(context, [&] { return processes(pod.uid) == 5; })) << processes(pod.uid);
  ASSERT_TRUE(stop(pod.name, Millis{300}));
  EXPECT_EQ(processes(pod.uid), 0U);
}

TEST_F(LocalRuntimeTest, pod_that_ignores_the_polite_end_is_killed_after_its_grace) {
  const Pod pod = start(spec_with({"stubborn"})).value();
  const SteadyTime begun = SteadyClock::now();
  ASSERT_TRUE(stop(pod.name, Millis{400}));
  EXPECT_GE(SteadyClock::now() - begun, Millis{400});
  EXPECT_EQ(processes(pod.uid), 0U);
}

TEST_F(LocalRuntimeTest, what_a_dead_pod_had_started_goes_with_it) {
  const Pod pod = start(spec_with({"stray", "child"})).value();
  std::optional<PodExit> exit;
  runtime->on_exit([&](const PodExit& e) { exit = e; });
  ASSERT_TRUE(test::run_until(context, [&] { return processes(pod.uid) == 4; }));
  const auto record = StateDir::open(directory.path()).value()->read(pod.name);
  ASSERT_TRUE(record);
  ::kill(record->leader.pid, SIGKILL);
  ASSERT_TRUE(test::run_until(context, [&] { return exit.has_value(); }));
  EXPECT_NE(exit->reason.find("SIGKILL"), std::string::npos);
  EXPECT_EQ(processes(pod.uid), 0U);
}

TEST_F(LocalRuntimeTest, missing_command_fails_at_once_and_by_name) {
  app.command = {"no-such-program-here"};
  const SteadyTime begun = SteadyClock::now();
  const Result<Pod> pod = start(spec());
  ASSERT_FALSE(pod);
  EXPECT_EQ(pod.error().code, Errc::failed);
  EXPECT_NE(pod.error().text.find("was not found in PATH"), std::string::npos);
  EXPECT_LT(SteadyClock::now() - begun, Millis{2'000});
  EXPECT_TRUE(list().empty());
}

TEST_F(LocalRuntimeTest, file_that_is_no_program_fails_with_what_the_system_says) {
  app.command = {"{dir}/broken"};
  app.files = {{"broken", "\x7f nonsense"}};
  const Result<Pod> pod = start(spec());
  ASSERT_FALSE(pod);
  EXPECT_NE(pod.error().text.find("cannot be executed"), std::string::npos) << pod.error().text;
}

// What a start that fails leaves behind would add up in the guard, which all pods share.
TEST_F(LocalRuntimeTest, failed_starts_cost_the_guard_no_descriptor_and_the_next_one_works) {
  const std::string open = fmt::format("/proc/{}/fd", owner().guard_pid());
  const auto descriptors = [&] {
    return std::distance(fs::directory_iterator(open), fs::directory_iterator());
  };
  ASSERT_TRUE(start(spec("ada")));
  const auto before = descriptors();
  const AppSettings good = app;
  app.command = {"{dir}/broken"};
  app.files = {{"broken", "\x7f nonsense"}};
  for (int i = 0; i < 5; ++i) ASSERT_FALSE(start(spec("eve")));
  EXPECT_EQ(descriptors(), before);
  app = good;
  ASSERT_TRUE(start(spec("grace")));
  EXPECT_EQ(descriptors(), before + 1) << "its output";
}

// The kernel is asked who listens: the first whom a pod hears from is somebody who wants something.
TEST_F(LocalRuntimeTest, pod_without_ready_path_sees_no_connection_before_the_first_client) {
  app.command = {"/usr/bin/python3", "-c",
                 "import os, socket\n"
                 "s = socket.create_server((os.environ['ADDRESS'], int(os.environ['PORT'])))\n"
                 "c, who = s.accept()\n"
                 "c.sendall(str(who[1]).encode())\n"};
  const Pod pod = start(spec()).value();
  Socket client(context);
  client.connect(pod.endpoint);
  std::string port;
  error_code end;
  asio::read(client, asio::dynamic_buffer(port), end);
  EXPECT_EQ(port, std::to_string(client.local_endpoint().port()));
}

TEST_F(LocalRuntimeTest, crash_before_ready_tells_code_and_last_words_without_waiting_for_the_deadline) {
  const SteadyTime begun = SteadyClock::now();
  const Result<Pod> pod = start(spec_with({"exit=7"}));
  ASSERT_FALSE(pod);
  EXPECT_EQ(pod.error().code, Errc::failed);
  EXPECT_NE(pod.error().text.find("exited with code 7"), std::string::npos) << pod.error().text;
  EXPECT_NE(pod.error().text.find("giving up with 7"), std::string::npos) << pod.error().text;
  EXPECT_LT(SteadyClock::now() - begun, Millis{5'000});
}

TEST_F(LocalRuntimeTest, pod_that_never_listens_fails_after_its_time_and_is_removed) {
  app.start_timeout = Millis{400};
  const Result<Pod> pod = start(spec_with({"delay=60000"}));
  ASSERT_FALSE(pod);
  EXPECT_NE(pod.error().text.find("was not ready within 0.4 s"), std::string::npos) << pod.error().text;
  EXPECT_TRUE(test::processes_of(directory.path()).empty());
}

TEST_F(LocalRuntimeTest, ready_path_that_answers_500_is_not_ready) {
  app.start_timeout = Millis{500};
  app.ready_path = "/health";
  const Result<Pod> pod = start(spec_with({"status=500"}));
  ASSERT_FALSE(pod);
  EXPECT_NE(pod.error().text.find("GET /health was answered with 500"), std::string::npos)
      << pod.error().text;
  EXPECT_TRUE(start(spec_with({"status=404"}, "grace")));
}

TEST_F(LocalRuntimeTest, flood_of_output_stays_below_its_limit_while_it_floods) {
  app.log_limit = 64 * 1024;
  const Pod pod = start(spec_with({"flood"})).value();
  const std::string session = directory.path() + "/pods/demo/ada";
  std::uint64_t end = 0;
  std::uint64_t most = 0;
  ASSERT_TRUE(test::run_until(
      context,
      [&] {
        std::uint64_t bytes = 0;
        std::error_code ec;
        for (const auto& file : fs::directory_iterator(session, ec))
          if (file.path().extension() == ".log") bytes += file.file_size(ec) * (ec ? 0 : 1);
        most = std::max(most, bytes);
        LogRequest request;
        request.name = pod.name;
        request.tail = true;
        const auto chunk = test::run(context, runtime->logs(request)).value();
        if (chunk) end = chunk->next;
        return end > 4'000'000;
      },
      Millis{60'000}))
      << end;
  EXPECT_LE(most, 64U * 1024);
  // Flooding one must not keep others from starting and stopping.
  const Result<Pod> other = start(spec("grace"));
  ASSERT_TRUE(other);
  EXPECT_TRUE(stop(other->name));
  EXPECT_TRUE(stop(pod.name));
}

TEST_F(LocalRuntimeTest, logs_go_on_from_their_offset_and_end_with_the_pod) {
  const Pod pod = start(spec_with({"say=hello", "say=world"})).value();
  LogRequest request;
  request.name = {pod.name.key, 0};
  const std::string said = "hello\nworld\n";
  const LogChunk first = written(*runtime, request.name, said.size());
  EXPECT_EQ(first.text, said);
  EXPECT_FALSE(first.ended);
  request.offset = 6;
  EXPECT_EQ(test::run(context, runtime->logs(request)).value()->text, "world\n");
  ASSERT_TRUE(stop(pod.name));
  request.offset = first.next;
  const LogChunk rest = test::run(context, runtime->logs(request)).value().value();
  EXPECT_EQ(rest.text, "");
  EXPECT_TRUE(rest.ended);
  request.name.key = SessionKey("demo", "nobody");
  EXPECT_EQ(test::run(context, runtime->logs(request)).value().error().code, Errc::not_found);
}

TEST_F(LocalRuntimeTest, awkward_user_names_have_directories_of_their_own) {
  std::set<std::string> homes;
  const std::vector<std::string> users{"../../etc/passwd", "a/b",   "a_b",      "..", "A B",
                                       "\xc3\xa9tienne",   "{dir}", "$(reboot)"};
  for (const std::string& user : users) {
    const Result<Pod> pod = start(spec(user));
    ASSERT_TRUE(pod) << user << ": " << pod.error().text;
    const std::string answer = test::get(pod->endpoint);
    EXPECT_NE(answer.find(" 1 " + user + " " + directory.path() + "/pods/demo/"), std::string::npos)
        << answer;
    homes.insert(answer.substr(answer.find(directory.path())));
  }
  EXPECT_EQ(homes.size(), users.size());
}

TEST_F(LocalRuntimeTest, working_directory_goes_with_the_pod) {
  const Pod pod = start(spec()).value();
  const std::string home = directory.path() + "/pods/demo/ada/1";
  ASSERT_TRUE(fs::is_directory(home));
  std::ofstream(home + "/left") << "x";
  ASSERT_TRUE(stop(pod.name));
  EXPECT_FALSE(fs::exists(home));
}

TEST_F(LocalRuntimeTest, pod_ignores_and_blocks_no_signal) {
  app.command = {"/bin/sh", "-c",
                 "grep -E 'Sig(Blk|Ign)' /proc/self/status; exec " + std::string(ALCOVE_TEST_POD)};
  const Pod pod = start(spec()).value();
  const std::string said = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n";
  std::string text = written(*runtime, pod.name, said.size()).text;
  ASSERT_EQ(text.size(), said.size()) << text;
  // Signals 32 and 33 are glibc's own: posix_spawn has all programs begin with them ignored.
  if (const std::size_t own = text.rfind("180000000\n"); own != std::string::npos) text.replace(own, 2, "00");
  EXPECT_EQ(text, said);
}

TEST_F(LocalRuntimeTest, pod_inherits_no_descriptor_and_no_terminal) {
  // A descriptor of ours that is not close-on-exec, as a careless library leaves one.
  const int leaked = ::dup(1);
  // The shell's own descriptors by name, the last being the directory that it reads them from.
  app.command = {"/bin/sh", "-c",
                 "cd /proc/$$/fd; echo *; cat; echo end; exec " + std::string(ALCOVE_TEST_POD)};
  const Pod pod = start(spec()).value();
  ::close(leaked);
  const std::string said = "0 1 2 3\nend\n";
  EXPECT_EQ(written(*runtime, pod.name, said.size()).text, said);
}

TEST_F(LocalRuntimeTest, guard_that_is_killed_takes_its_pods_and_a_new_one_comes) {
  const Pod pod = start(spec_with({"stray"})).value();
  ASSERT_TRUE(test::run_until(context, [&] { return processes(pod.uid) == 2; }));
  std::vector<PodExit> exits;
  runtime->on_exit([&](const PodExit& e) { exits.push_back(e); });
  const pid_t old = owner().guard_pid();
  ::kill(old, SIGKILL);
  ASSERT_TRUE(test::run_until(context, [&] { return exits.size() == 1 && owner().guard_pid() != 0; }));
  EXPECT_EQ(exits.front().uid, pod.uid);
  EXPECT_EQ(processes(pod.uid), 0U) << "strays are reparented away from a dead guard, and must be found";
  EXPECT_TRUE(list().empty());
  EXPECT_NE(owner().guard_pid(), old);
  EXPECT_TRUE(start(spec())) << "the next start works";
}

TEST_F(LocalRuntimeTest, reaper_in_another_process_stops_lists_and_reads_but_cannot_start) {
  const Pod pod = start(spec_with({"stray", "say=hello"})).value();
  bool exited = false;
  runtime->on_exit([&](const PodExit&) { exited = true; });
  const auto guest = make_local_runtime(test::local_settings(directory.path()), context, LocalMode::guest);
  const std::vector<Pod> seen = test::run(context, guest->list()).value().value();
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen.front().uid, pod.uid);
  EXPECT_TRUE(seen.front().ready);
  Session session;
  session.pod_uid = pod.uid;
  EXPECT_TRUE(guest->sees(session));
  session.pod_uid = "local-elsewhere-1";
  EXPECT_FALSE(guest->sees(session));
  const std::string said = "hello\n";
  EXPECT_EQ(written(*guest, {pod.name.key, 0}, said.size()).text, said);
  EXPECT_FALSE(test::run(context, guest->start(spec("grace"))).value());

  ASSERT_TRUE(test::run(context, guest->stop(pod.name, Millis{2'000})).value());
  EXPECT_EQ(processes(pod.uid), 0U);
  EXPECT_TRUE(test::run_until(context, [&] { return exited; })) << "its owner did not notice";
  EXPECT_TRUE(list().empty());
  EXPECT_TRUE(test::run(context, guest->stop(pod.name, Millis{2'000})).value()) << "stopping twice is fine";
}

TEST_F(LocalRuntimeTest, reaper_in_another_process_kills_what_is_stubborn) {
  const Pod pod = start(spec_with({"stubborn", "child"})).value();
  const auto guest = make_local_runtime(test::local_settings(directory.path()), context, LocalMode::guest);
  ASSERT_TRUE(test::run(context, guest->stop(pod.name, Millis{200})).value());
  EXPECT_EQ(processes(pod.uid), 0U);
}

TEST_F(LocalRuntimeTest, shut_down_ends_pods_starts_and_the_guard) {
  start(spec()).value();
  std::optional<Errc> cut;
  launch(context.get_executor(), runtime->start(spec_with({"delay=60000"}, "grace")),
         [&](const std::exception_ptr&, const Result<Pod>& pod) { cut = pod.error().code; });
  ASSERT_TRUE(test::run_until(context, [&] { return test::processes_of(directory.path()).size() == 2; }));
  const pid_t guard = owner().guard_pid();
  test::run(context, runtime->shut_down());
  ASSERT_TRUE(test::run_until(context, [&] { return cut.has_value(); }));
  EXPECT_EQ(*cut, Errc::cancelled);
  EXPECT_TRUE(test::processes_of(directory.path()).empty());
  EXPECT_EQ(::kill(guard, 0), -1);
  EXPECT_FALSE(start(spec())) << "nothing starts after the end";
}

}  // namespace
}  // namespace alcove
