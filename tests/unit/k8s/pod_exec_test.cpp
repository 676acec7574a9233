// Commands in a container against a stand-in that misbehaves on purpose, over TLS, and with an older
// protocol. What both the stand-in and the real API do is in tests/contract/exec_contract_test.cpp.
#include "k8s/pod_exec.hpp"

#include "k8s/api_client.hpp"
#include "tests/support/api_stand_in.hpp"
#include "tests/support/run_awaitable.hpp"
#include "tests/support/temporary_file.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <deque>

namespace alcove::k8s {
namespace {

using test::ApiStandIn;
using test::ApiStandInOptions;
using testing::HasSubstr;

ApiStandInOptions with_tls() {
  ApiStandInOptions options;
  options.tls = true;
  return options;
}
ApiStandInOptions with_intermediate_ca() {
  ApiStandInOptions options = with_tls();
  options.intermediate_ca = true;
  return options;
}
ApiStandInOptions without_v5() {
  ApiStandInOptions options;
  options.exec_v5 = false;
  return options;
}

class PodExecTest : public testing::Test {
 protected:
  explicit PodExecTest(ApiStandInOptions options = {}) : api(std::move(options)) {
    const Json pod{{"apiVersion", "v1"},
                   {"kind", "Pod"},
                   {"metadata", {{"name", "runs"}}},
                   {"spec", {{"containers", {{{"name", "app"}, {"image", "localhost/none:1"}}}}}}};
    api.objects().create({"pods", "test"}, pod.dump());
    become("Running");
    connect(api.access());
  }
  ~PodExecTest() override { client->close(); }

  void become(const std::string& phase) { api.objects().set_status("test", "runs", {{"phase", phase}}); }
  void connect(const ClusterAccess& access) {
    client = std::make_unique<ApiClient>(context.get_executor(), access, metrics);
  }
  template <class T>
  ApiResult<T> run(Awaitable<ApiResult<T>> call) {
    return test::run(context, std::move(call)).value();
  }
  ApiResult<std::shared_ptr<PodExec>> open(Millis opens = Millis{5'000}) {
    ExecQuery query;
    query.container = "app";
    query.command = {"cat"};
    query.opens = opens;
    return run(client->exec(item(collection("pods", "test"), "runs"), query));
  }
  // One line there and back.
  bool echoes(const std::shared_ptr<PodExec>& exec) {
    if (!run(PodExec::write(exec, "hello\n"))) return false;
    std::string seen;
    while (seen.find("hello\r\nhello\r\n") == std::string::npos) {
      const ApiResult<ExecNews> news = run(PodExec::read(exec));
      if (!news || news->kind == ExecNews::Kind::end) return false;
      seen += news->bytes;
    }
    return true;
  }
  std::uint64_t counted(std::size_t outcome) const {
    return metrics->calls[static_cast<std::size_t>(Verb::exec)][outcome].get();
  }

  ApiStandIn api;
  asio::io_context context{1};
  std::shared_ptr<ApiMetrics> metrics = std::make_shared<ApiMetrics>();
  std::unique_ptr<ApiClient> client;
};

TEST_F(PodExecTest, pod_that_does_not_run_is_told_as_the_end_and_counted_as_opened) {
  ASSERT_TRUE(open());
  become("Succeeded");
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error().message;
  const auto ended = run(PodExec::read(*opened));
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().reason, ApiReason::server);
  EXPECT_THAT(ended.error().message, HasSubstr("container not found"));
  EXPECT_EQ(counted(ApiMetrics::kOutcomes - 1), 2U);
}

TEST_F(PodExecTest, server_that_does_not_answer_is_given_up) {
  api.hang(true);
  const auto opened = open(Millis{200});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().reason, ApiReason::timeout);
}

TEST_F(PodExecTest, opening_has_a_time_and_what_is_open_has_none) {
  const auto opened = open(Millis{2'000});
  ASSERT_TRUE(opened) << opened.error().message;
  Timer timer(context.get_executor(), Millis{2'500});
  bool over = false;
  timer.async_wait([&](error_code) { over = true; });
  ASSERT_TRUE(test::run_until(context, [&] { return over; }));
  EXPECT_TRUE(echoes(*opened));
}

TEST_F(PodExecTest, answer_that_is_not_the_apis_and_a_connection_that_breaks_are_told_apart) {
  ApiStandIn::Fault proxy;
  proxy.status = 200;
  proxy.body = "<html>";
  api.fail_next(1, proxy);
  EXPECT_EQ(open().error().status, 200);
  ApiStandIn::Fault cut;
  cut.status = 0;
  api.fail_next(1, cut);
  EXPECT_EQ(open().error().reason, ApiReason::unreachable);
}

TEST_F(PodExecTest, nobody_there_is_said_as_such) {
  ClusterAccess access = api.access();
  access.server = "http://127.0.0.1:1";
  connect(access);
  EXPECT_EQ(open().error().reason, ApiReason::unreachable);
  access = api.access();
  access.proxy = "http://127.0.0.1:1";
  connect(access);
  EXPECT_THAT(open().error().message, HasSubstr("proxy"));
}

TEST_F(PodExecTest, close_ends_what_is_open_and_what_is_being_opened) {
  const auto opened = open();
  ASSERT_TRUE(opened);
  std::vector<ApiReason> ends;
  launch(context, PodExec::read(*opened), [&](const std::exception_ptr&, ApiResult<ExecNews> news) {
    ends.push_back(news ? ApiReason::other : news.error().reason);
  });
  api.hang(true);
  ExecQuery query;
  query.container = "app";
  query.command = {"cat"};
  launch(context, client->exec(item(collection("pods", "test"), "runs"), query),
         [&](const std::exception_ptr&, ApiResult<std::shared_ptr<PodExec>> late) {
           ends.push_back(late ? ApiReason::other : late.error().reason);
         });
  ASSERT_TRUE(test::run_until(context, [&] { return api.count("GET") == 2; }));
  client->close();
  ASSERT_TRUE(test::run_until(context, [&] { return ends.size() == 2; }));
  for (const ApiReason end : ends) EXPECT_EQ(end, ApiReason::cancelled);
  EXPECT_EQ(open().error().reason, ApiReason::cancelled);
}

TEST_F(PodExecTest, token_that_rotated_is_read_again) {
  const test::TemporaryFile token("let-me-in");
  ClusterAccess access = api.access();
  access.token.clear();
  access.token_file = token.path();
  connect(access);
  EXPECT_TRUE(open());
  api.set_token("another");
  EXPECT_EQ(open().error().reason, ApiReason::unauthorized);
  token.write("another");
  EXPECT_TRUE(open());
}

class PodExecOldTest : public PodExecTest {
 protected:
  PodExecOldTest() : PodExecTest(without_v5()) {}
};

TEST_F(PodExecOldTest, each_one_is_counted_by_how_its_opening_went) {
  ASSERT_TRUE(open());
  become("Succeeded");
  const auto refused = open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, ApiReason::server);
  EXPECT_THAT(refused.error().message, HasSubstr("container not found"));
  EXPECT_EQ(counted(ApiMetrics::kOutcomes - 1), 1U);
  EXPECT_EQ(counted(static_cast<std::size_t>(ApiReason::server)), 1U);
  EXPECT_EQ(api.count("GET"), 2U) << "what may have begun is not tried again";
}

TEST_F(PodExecOldTest, older_protocol_does_all_but_end_the_input) {
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_FALSE((*opened)->can_end_input());
  EXPECT_FALSE(run(PodExec::end_input(*opened)));
  EXPECT_TRUE(echoes(*opened));
}

class PodExecTlsTest : public PodExecTest {
 protected:
  PodExecTlsTest() : PodExecTest(with_tls()) {}
};

TEST_F(PodExecTlsTest, trusts_the_clusters_ca_and_shows_its_certificate) {
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_TRUE(echoes(*opened));
}

TEST_F(PodExecTlsTest, does_not_speak_to_a_server_that_another_ca_vouches_for) {
  ClusterAccess access = api.access();
  access.ca = test::make_test_certificates().ca;
  connect(access);
  const auto refused = open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, ApiReason::unreachable);
  EXPECT_THAT(refused.error().message, HasSubstr("certificate"));
  access.verify = false;
  connect(access);
  EXPECT_TRUE(open());
}

TEST_F(PodExecTlsTest, checks_the_servers_name) {
  ClusterAccess access = api.access();
  access.server_name = "api.test.localhost";
  connect(access);
  const auto named = open();
  EXPECT_TRUE(named) << named.error().message;
  access.server_name = "other.test.localhost";
  connect(access);
  EXPECT_THAT(open().error().message, HasSubstr("certificate"));
}

TEST_F(PodExecTlsTest, without_its_certificate_it_is_nobody) {
  ClusterAccess access = api.access();
  access.certificate.clear();
  access.key.clear();
  connect(access);
  EXPECT_EQ(open().error().reason, ApiReason::unreachable);
  access.certificate = "no PEM";
  connect(access);
  EXPECT_THAT(open().error().message, HasSubstr("certificate or a key"));
}

class PodExecIntermediateTest : public PodExecTest {
 protected:
  PodExecIntermediateTest() : PodExecTest(with_intermediate_ca()) {}
};

// As the rest of the client, which is libcurl's.
TEST_F(PodExecIntermediateTest, ca_that_is_trusted_need_not_be_a_root) {
  EXPECT_TRUE(run(client->get(item(collection("pods", "test"), "runs"))));
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_TRUE(echoes(*opened));
}

// A WebSocket whose messages are there from the beginning, and after them it is broken.
class Said final : public WebSocket {
 public:
  explicit Said(std::deque<std::string> messages, std::string protocol = "v5.channel.k8s.io")
      : messages_(std::move(messages)), protocol_(std::move(protocol)) {}
  Awaitable<Result<HttpAnswer>> open() override {
    HttpAnswer answer;
    answer.status = kOpened;
    co_return answer;
  }
  Awaitable<Result<std::string>> read() override {
    const Error broken{Errc::unavailable, fmt::format("broken, asked {} times", ++asked_)};
    if (messages_.empty()) co_return broken;
    std::string message = std::move(messages_.front());
    messages_.pop_front();
    co_return message;
  }
  Awaitable<Result<void>> write(std::string) override { co_return Result<void>{}; }
  void cancel() override { cancelled = true; }
  const std::string& protocol() const override { return protocol_; }

  bool cancelled = false;

 private:
  std::deque<std::string> messages_;
  std::string protocol_;
  int asked_ = 0;
};

class PodExecEndTest : public testing::Test {
 protected:
  ApiError end_of(std::deque<std::string> messages) {
    const auto exec = std::make_shared<PodExec>(std::make_shared<Said>(std::move(messages)), true);
    const auto read = [&] { return test::run(context, PodExec::read(exec)).value(); };
    const ApiResult<ExecNews> first = read();
    const ApiResult<ExecNews> again = read();
    EXPECT_FALSE(first);
    EXPECT_FALSE(again);
    EXPECT_EQ(first.error().message, again.error().message) << "the same end is told again";
    return first.error();
  }
  ApiReason reason_of(const Json& status) { return end_of({"\3" + status.dump()}).reason; }

  asio::io_context context{1};
};

TEST_F(PodExecEndTest, failure_that_is_not_the_commands_has_the_apis_reason) {
  const ApiError end = end_of({"\3" + Json{{"status", "Failure"},
                                           {"reason", "InternalError"},
                                           {"message", "Internal error occurred: no such program"},
                                           {"code", 500}}
                                          .dump()});
  EXPECT_EQ(end.reason, ApiReason::server);
  EXPECT_EQ(end.word, "InternalError");
  EXPECT_EQ(end.message, "Internal error occurred: no such program");
}

TEST_F(PodExecEndTest, end_that_makes_no_sense_is_not_understood) {
  EXPECT_EQ(end_of({"\3it is over"}).reason, ApiReason::not_understood);
  EXPECT_EQ(reason_of({{"status", "Perhaps"}}), ApiReason::not_understood);
  Json failed{{"status", "Failure"}, {"reason", "NonZeroExitCode"}};
  EXPECT_EQ(reason_of(failed), ApiReason::not_understood);
  for (const char* code : {"", "many", "1x"}) {
    failed["details"]["causes"] = {{{"reason", "ExitCode"}, {"message", code}}};
    EXPECT_EQ(reason_of(failed), ApiReason::not_understood) << code;
  }
  EXPECT_EQ(end_of({std::string("\0input", 6)}).reason, ApiReason::not_understood);
}

TEST_F(PodExecEndTest, connection_that_breaks_is_an_end_too) {
  EXPECT_EQ(end_of({}).reason, ApiReason::unreachable);
}

TEST_F(PodExecEndTest, api_that_chooses_no_protocol_is_not_understood) {
  const auto socket = std::make_shared<Said>(std::deque<std::string>{}, "");
  const auto opened = test::run(context, PodExec::open(std::make_shared<PodExec>(socket, true))).value();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().reason, ApiReason::not_understood);
  EXPECT_TRUE(socket->cancelled);
}

}  // namespace
}  // namespace alcove::k8s
