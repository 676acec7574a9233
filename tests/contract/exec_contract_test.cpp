// What Alcove relies on when it runs a command in a container, on both sides of the contract: see
// api_contract_test.cpp, which names the sides. On the cluster those about a running pod need one
// (api_bench).
#include "tests/contract/api_bench.hpp"

#include <gmock/gmock.h>

namespace alcove::k8s {
namespace {

using testing::HasSubstr;

constexpr auto kOutput = ExecNews::Kind::output;
constexpr auto kErrors = ExecNews::Kind::errors;

class Exec {
 public:
  Exec(asio::io_context& context, std::shared_ptr<PodExec> exec)
      : context_(context), exec_(std::move(exec)) {}

  template <class T>
  ApiResult<T> run(Awaitable<ApiResult<T>> call) {
    return test::run(context_, std::move(call)).value();
  }
  bool write(std::string text) { return run(PodExec::write(exec_, std::move(text))).has_value(); }
  bool resize(std::uint16_t columns, std::uint16_t rows) {
    return run(PodExec::resize(exec_, columns, rows)).has_value();
  }
  // Reads on until this has been written, or nothing more comes.
  bool until(const std::string& text, ExecNews::Kind kind = kOutput) {
    std::string& seen = kind == kErrors ? errors : output;
    while (seen.find(text) == std::string::npos)
      if (!next()) return false;
    return true;
  }
  // Reads on. False: nothing more comes.
  bool next() {
    const ApiResult<ExecNews> news = run(PodExec::read(exec_));
    if (!news) {
      failed = news.error().message;
      reason = news.error().reason;
      return false;
    }
    if (news->kind == ExecNews::Kind::end) {
      code = news->exit_code;
      return false;
    }
    (news->kind == kErrors ? errors : output) += news->bytes;
    return true;
  }
  // Reads all there is. Negative: it did not end by itself.
  int end() {
    while (next()) {
    }
    return code;
  }
  const std::shared_ptr<PodExec>& get() const { return exec_; }

  std::string output;
  std::string errors;
  int code = -1;
  std::string failed;
  std::optional<ApiReason> reason;

 private:
  asio::io_context& context_;
  std::shared_ptr<PodExec> exec_;
};

class ExecContract : public ApiContract {
 protected:
  ApiResult<std::shared_ptr<PodExec>> open(ApiClient& by, const std::string& pod,
                                           std::vector<std::string> command, bool terminal) {
    ExecQuery query;
    query.container = "app";
    query.command = std::move(command);
    query.terminal = terminal;
    return run(by.exec(item(pods, pod), std::move(query)));
  }
};

// Those that need a pod that runs.
class ExecInPod : public ExecContract {
 protected:
  void SetUp() override {
    ExecContract::SetUp();
    pod_ = api->running_pod();
    if (pod_.empty()) GTEST_SKIP() << "ALCOVE_TEST_EXEC_POD names no pod";
  }
  Exec start(std::vector<std::string> command, bool terminal) {
    const auto opened = open(*client, pod_, std::move(command), terminal);
    EXPECT_TRUE(opened) << opened.error().message;
    return {context, opened.value()};
  }
  // A command that waits for input, and its process in the container.
  std::pair<Exec, std::string> waiting(bool terminal) {
    Exec exec = start({"sh", "-c", "echo process $$.; exec cat"}, terminal);
    EXPECT_TRUE(exec.until(".")) << exec.failed;
    const std::size_t at = exec.output.find(' ') + 1;
    std::string process = exec.output.substr(at, exec.output.find('.') - at);
    return {std::move(exec), std::move(process)};
  }
  std::string pod_;
};

TEST_P(ExecInPod, what_is_typed_comes_back_from_cat_and_from_the_terminals_echo) {
  Exec exec = start({"cat"}, true);
  ASSERT_TRUE(exec.write("hello \xC3\x9C\n"));
  EXPECT_TRUE(exec.until("hello \xC3\x9C\r\nhello \xC3\x9C\r\n")) << exec.output << exec.failed;
  ASSERT_TRUE(exec.write("\x04"));
  EXPECT_EQ(exec.end(), 0) << exec.failed;
  EXPECT_EQ(exec.end(), 0) << "the end is told again";
}

TEST_P(ExecInPod, exit_code_is_told) {
  EXPECT_EQ(start({"sh", "-c", "exit 0"}, true).end(), 0);
  EXPECT_EQ(start({"sh", "-c", "exit 37"}, true).end(), 37);
  EXPECT_EQ(start({"sh", "-c", "kill -9 $$"}, false).end(), 137);
}

TEST_P(ExecInPod, output_and_errors_come_apart_without_a_terminal) {
  Exec exec = start({"sh", "-c", "echo good; echo bad >&2; exit 3"}, false);
  EXPECT_EQ(exec.end(), 3) << exec.failed;
  EXPECT_EQ(exec.output, "good\n");
  EXPECT_EQ(exec.errors, "bad\n");
}

TEST_P(ExecInPod, words_of_a_command_stay_what_they_are) {
  Exec exec = start({"sh", "-c", "printf '<%s>' \"$@\"", "x", "a b&c=d", "%41+", "\xE2\x98\x83"}, false);
  EXPECT_EQ(exec.end(), 0) << exec.failed;
  EXPECT_EQ(exec.output, "<a b&c=d><%41+><\xE2\x98\x83>");
}

// On the cluster size and input go separate ways, and either may come first: a line shows the size as it is
// by then, so lines are sent until one shows the right one. Each is answered before the next, also where
// there is no size yet: busybox calls that an error.
bool shows_size(Exec& exec, const std::string& size) {
  for (int tries = 0; tries < 200; ++tries) {
    const std::size_t before = exec.output.size();
    if (!exec.write("\n")) return false;
    while (exec.output.find(']', before) == std::string::npos)
      if (!exec.next()) return false;
    if (exec.output.find("[" + size + "]", before) != std::string::npos) return true;
  }
  return false;
}

TEST_P(ExecInPod, terminal_takes_the_size_that_it_is_given) {
  Exec exec = start({"sh", "-c", "while read line; do echo \"[$(stty size 2>&1)]\"; done"}, true);
  ASSERT_TRUE(exec.resize(132, 43));
  EXPECT_TRUE(shows_size(exec, "43 132")) << exec.output << exec.failed;
  ASSERT_TRUE(exec.resize(80, 24));
  EXPECT_TRUE(shows_size(exec, "24 80")) << exec.output << exec.failed;
  ASSERT_TRUE(exec.write("\x04"));
  EXPECT_EQ(exec.end(), 0) << exec.failed;
}

TEST_P(ExecInPod, command_without_a_terminal_has_no_size_and_goes_on) {
  Exec exec = start({"cat"}, false);
  EXPECT_FALSE(exec.resize(80, 24));
  ASSERT_TRUE(exec.write("hello\n"));
  EXPECT_TRUE(exec.until("hello\n")) << exec.failed;
  exec.get()->cancel();
}

TEST_P(ExecInPod, program_that_is_not_there_is_told_as_the_end) {
  for (const bool terminal : {true, false}) {
    Exec exec = start({"no-such-program"}, terminal);
    EXPECT_LT(exec.end(), 0);
    EXPECT_EQ(exec.reason, ApiReason::server);
    EXPECT_THAT(exec.failed, HasSubstr("no-such-program"));
  }
}

// Where that is told depends on the protocol: before it is open, or as its end.
TEST_P(ExecInPod, container_that_has_ended_is_told) {
  ExecQuery query;
  query.container = "before";
  query.command = {"cat"};
  const auto opened = run(client->exec(item(pods, pod_), query));
  const ApiError error = opened ? run(PodExec::read(*opened)).error() : opened.error();
  EXPECT_EQ(error.reason, ApiReason::server);
  EXPECT_THAT(error.message, HasSubstr("container not found (\"before\")"));
}

// More than one message, and messages of more than one of Beast's usual frames: API servers take each frame
// for a message, and its first byte for a channel.
TEST_P(ExecInPod, long_input_arrives_whole) {
  Exec exec = start({"cat"}, false);
  std::string text;
  for (int i = 0; text.size() < 3 * PodExec::kMostInput + 7; ++i) text += std::to_string(i) + ",";
  text += "end";
  ASSERT_TRUE(exec.write(text));
  EXPECT_TRUE(exec.until(",end")) << exec.failed;
  EXPECT_EQ(exec.output, text);
  exec.get()->cancel();
}

// Also what is under way when the command ends.
TEST_P(ExecInPod, long_output_arrives_whole_and_before_the_end) {
  for (const bool terminal : {true, false}) {
    Exec exec =
        start({"sh", "-c", "i=0; while [ $i -lt 40000 ]; do echo $i; i=$((i+1)); done; exit 7"}, terminal);
    std::string expected;
    for (int i = 0; i < 40000; ++i) expected += std::to_string(i) + (terminal ? "\r\n" : "\n");
    EXPECT_EQ(exec.end(), 7) << exec.failed;
    EXPECT_TRUE(exec.output == expected) << exec.output.size() << " of " << expected.size();
  }
}

TEST_P(ExecInPod, input_ends_where_the_api_knows_how) {
  Exec exec = start({"sh", "-c", "cat; echo after"}, false);
  ASSERT_TRUE(exec.write("before\n"));
  const ApiResult<void> ended = exec.run(PodExec::end_input(exec.get()));
  ASSERT_EQ(ended.has_value(), exec.get()->can_end_input());
  if (!ended) {
    EXPECT_EQ(ended.error().reason, ApiReason::other);
    exec.get()->cancel();
    return;
  }
  EXPECT_EQ(exec.end(), 0) << exec.failed;
  EXPECT_EQ(exec.output, "before\nafter\n");
}

// The container itself says when a process of it has ended.
TEST_P(ExecInPod, command_that_is_given_up_has_no_more_input_or_on_a_terminal_goes_on) {
  const auto on_terminal = waiting(true);
  const auto without = waiting(false);
  on_terminal.first.get()->cancel();
  without.first.get()->cancel();
  Exec gone = start({"sh", "-c", "while kill -0 $0; do sleep 0.05; done", without.second}, false);
  EXPECT_EQ(gone.end(), 0) << gone.failed;
  EXPECT_EQ(start({"sh", "-c", "kill -9 $0", on_terminal.second}, false).end(), 0);
  Exec ended = start({"sh", "-c", "while kill -0 $0; do sleep 0.05; done", on_terminal.second}, false);
  EXPECT_EQ(ended.end(), 0) << ended.failed;
}

TEST_P(ExecContract, pod_that_is_not_there_is_not_found) {
  const auto opened = open(*client, fresh("none"), {"cat"}, true);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().reason, ApiReason::not_found);
  EXPECT_EQ(opened.error().word, "NotFound");
  EXPECT_THAT(opened.error().message, HasSubstr("not found"));
}

TEST_P(ExecContract, pod_that_has_no_node_yet_is_a_bad_request) {
  const std::string name = fresh("pod");
  ASSERT_TRUE(create(pods, pod(name)));
  const auto opened = open(*client, name, {"cat"}, true);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().reason, ApiReason::bad_request) << opened.error().message;
  EXPECT_THAT(opened.error().message, HasSubstr("does not have a host assigned"));
}

TEST_P(ExecContract, container_that_the_pod_does_not_have_is_a_bad_request) {
  const std::string name = fresh("pod");
  ASSERT_TRUE(create(pods, pod(name)));
  ExecQuery query;
  query.container = "other";
  query.command = {"cat"};
  const auto opened = run(client->exec(item(pods, name), query));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().reason, ApiReason::bad_request) << opened.error().message;
}

TEST_P(ExecContract, who_may_not_is_forbidden_and_a_wrong_token_unauthorized) {
  ApiClient wrong = by_token("nonsense");
  EXPECT_EQ(open(wrong, fresh("none"), {"cat"}, true).error().reason, ApiReason::unauthorized);
  ApiClient nobody = by_token("");
  const auto refused = open(nobody, fresh("none"), {"cat"}, true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, ApiReason::forbidden);
  EXPECT_THAT(refused.error().message, HasSubstr("system:anonymous"));
}

// Before Kubernetes 1.30 the API passes all on to the node: another path, with rules of its own.
std::vector<Maker> makers_of_both_protocols() {
  std::vector<Maker> all = makers();
  all.push_back({"stand_in_before_v5", [] {
                   test::ApiStandInOptions options;
                   options.exec_v5 = false;
                   return std::unique_ptr<Api>(std::make_unique<StandIn>(options));
                 }});
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, ExecContract, testing::ValuesIn(makers_of_both_protocols()), name_of_maker);
INSTANTIATE_TEST_SUITE_P(All, ExecInPod, testing::ValuesIn(makers_of_both_protocols()), name_of_maker);

}  // namespace
}  // namespace alcove::k8s
