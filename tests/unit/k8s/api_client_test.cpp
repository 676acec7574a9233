// The client against a stand-in that misbehaves on purpose. What both the stand-in and the real API do is in
// tests/contract/api_contract_test.cpp.
#include "k8s/api_client.hpp"

#include "tests/support/api_stand_in.hpp"
#include "tests/support/run_awaitable.hpp"
#include "tests/support/temporary_file.hpp"

#include <gmock/gmock.h>

namespace alcove::k8s {
namespace {

using test::ApiStandIn;
using testing::HasSubstr;

const std::string kMaps = collection("configmaps", "test");

Json config_map(const std::string& name) {
  return {{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", name}}}};
}

class ApiClientTest : public testing::Test {
 protected:
  ~ApiClientTest() override {
    if (client) client->close();
  }
  void connect(const ClusterAccess& access) {
    client = std::make_unique<ApiClient>(context.get_executor(), access, metrics);
  }
  void connect() { connect(api.access()); }
  template <class T>
  ApiResult<T> run(Awaitable<ApiResult<T>> call) {
    return test::run(context, std::move(call)).value();
  }
  std::uint64_t counted(Verb verb, ApiReason reason) const {
    return metrics->calls[static_cast<std::size_t>(verb)][static_cast<std::size_t>(reason)].get();
  }

  ApiStandIn api;
  asio::io_context context{1};
  std::shared_ptr<ApiMetrics> metrics = std::make_shared<ApiMetrics>();
  std::unique_ptr<ApiClient> client;
};

TEST_F(ApiClientTest, waits_as_long_as_a_429_asks_for_and_tries_again) {
  connect();
  ApiStandIn::Fault fault;
  fault.status = 429;
  fault.reason = "TooManyRequests";
  fault.retry_after = "1";
  api.fail_next(1, fault);
  const SteadyTime begun = SteadyClock::now();
  const ApiResult<Object> created = run(client->create(kMaps, config_map("a")));
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_GE(SteadyClock::now() - begun, Millis{1'000});
  EXPECT_EQ(api.count("POST"), 2U);
  EXPECT_EQ(counted(Verb::create, ApiReason::too_many_requests), 1U);
}

TEST_F(ApiClientTest, gives_up_at_once_when_the_pause_asked_for_is_beyond_its_patience) {
  connect();
  ApiStandIn::Fault fault;
  fault.status = 429;
  fault.reason = "TooManyRequests";
  fault.retry_after = "60";
  api.fail_next(1, fault);
  const SteadyTime begun = SteadyClock::now();
  const ApiResult<Object> created = run(client->create(kMaps, config_map("a")));
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().reason, ApiReason::too_many_requests);
  EXPECT_EQ(created.error().retry_after, Millis{60'000});
  EXPECT_LT(SteadyClock::now() - begun, Millis{5'000});
}

TEST_F(ApiClientTest, outlasts_a_server_in_trouble_and_broken_connections) {
  connect();
  ApiStandIn::Fault broken;
  broken.status = 0;
  api.fail_next(2, broken);
  EXPECT_TRUE(run(client->create(kMaps, config_map("a"))));
  api.fail_next(2, {});
  EXPECT_TRUE(run(client->get(item(kMaps, "a"))));
  EXPECT_EQ(counted(Verb::get, ApiReason::server), 2U);
}

TEST_F(ApiClientTest, does_not_try_again_what_will_not_get_better) {
  connect();
  EXPECT_EQ(run(client->get(item(kMaps, "none"))).error().reason, ApiReason::not_found);
  EXPECT_EQ(api.count("GET"), 1U);
}

TEST_F(ApiClientTest, nobody_there_is_said_as_such) {
  ClusterAccess access = api.access();
  access.server = "http://127.0.0.1:1";
  connect(access);
  const ApiResult<Object> object = run(client->get(item(kMaps, "a"), {Millis{300}, Millis{200}}));
  ASSERT_FALSE(object);
  EXPECT_EQ(object.error().reason, ApiReason::unreachable);
  EXPECT_THAT(object.error().message, HasSubstr("the Kubernetes API cannot be reached"));
  EXPECT_GE(counted(Verb::get, ApiReason::unreachable), 2U) << "it is tried as long as there is patience";
}

TEST_F(ApiClientTest, server_that_does_not_answer_is_given_up_and_asked_again) {
  connect();
  api.hang(true);
  const ApiResult<Object> object = run(client->get(item(kMaps, "a"), {Millis{0}, Millis{200}}));
  ASSERT_FALSE(object);
  EXPECT_EQ(object.error().reason, ApiReason::timeout);
  std::optional<ApiResult<Object>> late;
  launch(context, client->get(item(kMaps, "a"), {Millis{10'000}, Millis{200}}),
         [&](const std::exception_ptr&, ApiResult<Object> result) { late.emplace(std::move(result)); });
  ASSERT_TRUE(test::run_until(context, [&] { return api.count("GET") >= 3; }));
  api.hang(false);
  ASSERT_TRUE(test::run_until(context, [&] { return late.has_value(); }));
  EXPECT_EQ(late->error().reason, ApiReason::not_found);
}

TEST_F(ApiClientTest, token_that_rotated_is_read_again) {
  const test::TemporaryFile token("let-me-in");
  ClusterAccess access = api.access();
  access.token.clear();
  access.token_file = token.path();
  connect(access);
  EXPECT_EQ(run(client->get(item(kMaps, "a"))).error().reason, ApiReason::not_found);
  api.set_token("another");
  EXPECT_EQ(run(client->get(item(kMaps, "a"))).error().reason, ApiReason::unauthorized);
  token.write("another");
  EXPECT_EQ(run(client->get(item(kMaps, "a"))).error().reason, ApiReason::not_found);
}

TEST_F(ApiClientTest, close_ends_what_is_under_way_and_what_comes_after) {
  connect();
  api.hang(true);
  std::vector<ApiReason> ends;
  // More than may run at once, so that some wait for their turn.
  constexpr std::size_t kCalls = HttpThread::kCallsAtOnce + 4;
  for (std::size_t i = 0; i < kCalls; ++i)
    launch(context, client->get(item(kMaps, "a")), [&](const std::exception_ptr&, ApiResult<Object> result) {
      ends.push_back(result ? ApiReason::other : result.error().reason);
    });
  ASSERT_TRUE(test::run_until(context, [&] { return api.count("GET") >= HttpThread::kCallsAtOnce; }));
  client->close();
  ASSERT_TRUE(test::run_until(context, [&] { return ends.size() == kCalls; }));
  for (const ApiReason end : ends) EXPECT_EQ(end, ApiReason::cancelled);
  EXPECT_EQ(api.count("GET"), HttpThread::kCallsAtOnce) << "those that waited were never sent";
  EXPECT_EQ(run(client->get(item(kMaps, "a"))).error().reason, ApiReason::cancelled);
}

TEST_F(ApiClientTest, a_watch_can_be_cancelled_while_it_waits) {
  connect();
  Selection all;
  const auto watch = run(client->watch(kMaps, all, "100", Millis{30'000}));
  ASSERT_TRUE(watch) << watch.error().message;
  std::optional<ApiResult<std::vector<WatchEvent>>> end;
  launch(context, Watch::next(*watch),
         [&](const std::exception_ptr&, ApiResult<std::vector<WatchEvent>> events) {
           end.emplace(std::move(events));
         });
  ASSERT_TRUE(test::run_until(context, [&] { return api.open_watches() == 1; }));
  (*watch)->cancel();
  ASSERT_TRUE(test::run_until(context, [&] { return end.has_value(); }));
  EXPECT_EQ(end->error().reason, ApiReason::cancelled);
}

TEST_F(ApiClientTest, an_answer_that_is_not_the_apis_is_not_believed) {
  connect();
  ApiStandIn::Fault fault;
  fault.status = 200;
  fault.body = "<html>hello</html>";
  api.fail_next(1, fault);
  EXPECT_EQ(run(client->get(item(kMaps, "a"))).error().reason, ApiReason::not_understood);
}

TEST_F(ApiClientTest, log_that_is_followed_waits_for_its_reader) {
  connect();
  const std::string pods = collection("pods", "test");
  Json pod{{"apiVersion", "v1"},
           {"kind", "Pod"},
           {"metadata", {{"name", "talker"}}},
           {"spec", {{"containers", {{{"name", "app"}, {"image", "x:1"}}}}}}};
  ASSERT_TRUE(run(client->create(pods, pod)));
  LogQuery query;
  query.container = "app";
  EXPECT_EQ(run(client->log(item(pods, "talker"), query)).error().reason, ApiReason::bad_request);
  api.objects().set_status("test", "talker", {{"phase", "Running"}});
  const std::string line(999, 'x');
  std::string all;
  for (int i = 0; i < 6'000; ++i) all += line + "\n";
  api.write_log("talker", all);
  const auto stream = run(client->follow_log(item(pods, "talker"), "app"));
  ASSERT_TRUE(stream) << stream.error().message;
  api.end_log("talker");
  std::string got;
  for (;;) {
    const Result<std::string> more = test::run(context, HttpExchange::read(*stream)).value();
    ASSERT_TRUE(more);
    if (more->empty()) break;
    EXPECT_LE(more->size(), HttpExchange::kMostUnread + 64 * 1024);
    got += *more;
  }
  EXPECT_EQ(got.size(), all.size());
  EXPECT_TRUE(got == all);
  query.tail_lines = 2;
  EXPECT_EQ(run(client->log(item(pods, "talker"), query)).value(), line + "\n" + line + "\n");
}

class ApiClientTlsTest : public testing::Test {
 protected:
  ApiResult<Object> ask(const ClusterAccess& access) {
    ApiClient client(context.get_executor(), access, std::make_shared<ApiMetrics>());
    ApiResult<Object> answer =
        test::run(context, client.get(item(kMaps, "a"), {Millis{0}, Millis{5'000}})).value();
    return answer;
  }

  ApiStandIn api{test::ApiStandInOptions{true, ""}};
  asio::io_context context{1};
};

TEST_F(ApiClientTlsTest, trusts_the_clusters_ca_and_shows_its_certificate) {
  EXPECT_EQ(ask(api.access()).error().reason, ApiReason::not_found) << "that is: it was answered";
}

TEST_F(ApiClientTlsTest, does_not_speak_to_a_server_that_another_ca_vouches_for) {
  ClusterAccess access = api.access();
  access.ca = test::make_test_certificates().ca;
  const ApiResult<Object> answer = ask(access);
  EXPECT_EQ(answer.error().reason, ApiReason::unreachable);
  EXPECT_THAT(answer.error().message, HasSubstr("certificate"));
  access.verify = false;
  EXPECT_EQ(ask(access).error().reason, ApiReason::not_found);
}

TEST_F(ApiClientTlsTest, checks_the_servers_name) {
  ClusterAccess access = api.access();
  access.server_name = "api.test.localhost";
  EXPECT_EQ(ask(access).error().reason, ApiReason::not_found);
  access.server_name = "other.test.localhost";
  EXPECT_THAT(ask(access).error().message, HasSubstr("other.test.localhost"));
}

TEST_F(ApiClientTlsTest, without_its_certificate_it_is_nobody) {
  ClusterAccess access = api.access();
  access.certificate.clear();
  access.key.clear();
  EXPECT_EQ(ask(access).error().reason, ApiReason::unreachable);
}

}  // namespace
}  // namespace alcove::k8s
