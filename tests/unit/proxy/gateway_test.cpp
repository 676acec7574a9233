// The way of a request through a whole gateway, both ends of the wire in the test's hands.
#include "proxy/relay.hpp"
#include "tests/support/gateway_bench.hpp"

#include <gtest/gtest.h>

namespace alcove::test {
namespace {

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

TEST(Gateway, passes_a_request_on_and_its_answer_back_and_keeps_both_connections) {
  GatewayBench bench;
  bench.ready_before("ada", bench.pod.port());
  RawSocket client = bench.client();
  client.send(GatewayBench::get("ada", "/one?x=1"));
  RawSocket pod = bench.pod.accept();
  const std::string head = pod.read_until("\r\n\r\n");
  EXPECT_EQ(head.substr(0, 45), "GET /one?x=1 HTTP/1.1\r\nHost: demo.localhost\r\n");
  EXPECT_NE(head.find("X-Alcove-User: ada\r\n"), std::string::npos);
  EXPECT_NE(head.find("X-Forwarded-For: 127.0.0.1\r\n"), std::string::npos);
  EXPECT_EQ(head.find("X-User-ID"), std::string::npos);
  pod.send(kOk);
  const std::string answer = client.read_until("hi");
  EXPECT_EQ(answer.substr(0, 15), "HTTP/1.1 200 OK");

  client.send(GatewayBench::get("ada", "/two"));
  EXPECT_EQ(pod.read_until("\r\n\r\n").substr(0, 8), "GET /two");
  pod.send(kOk);
  client.read_until("hi");
}

TEST(Gateway, holds_then_relays_when_pod_turns_ready) {
  GatewayBench bench;
  RawSocket client = bench.client();
  client.send(GatewayBench::get("ada", "/"));
  bench.make_ready(bench.pod.port());
  RawSocket pod = bench.pod.accept();
  pod.read_until("\r\n\r\n");
  pod.send(kOk);
  client.read_until("hi");
}

TEST(Gateway, answers_pipelined_requests_in_order_one_at_a_time) {
  GatewayBench bench;
  bench.ready_before("ada", bench.pod.port());
  RawSocket client = bench.client();
  client.send(GatewayBench::get("ada", "/1") + GatewayBench::get("ada", "/2"));
  RawSocket pod = bench.pod.accept();
  EXPECT_EQ(pod.read_until("\r\n\r\n").substr(0, 6), "GET /1");
  EXPECT_TRUE(pod.silent_for_ms(50));
  pod.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none");
  client.read_until("one");
  EXPECT_EQ(pod.read_until("\r\n\r\n").substr(0, 6), "GET /2");
  pod.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo");
  client.read_until("two");
}

TEST(Gateway, streams_a_chunked_request_body_as_it_comes) {
  GatewayBench bench;
  bench.ready_before("ada", bench.pod.port());
  RawSocket client = bench.client();
  client.send(
      "POST /up HTTP/1.1\r\nHost: demo.localhost\r\nX-User-ID: ada\r\nTransfer-Encoding: chunked\r\n\r\n");
  RawSocket pod = bench.pod.accept();
  EXPECT_NE(pod.read_until("\r\n\r\n").find("Transfer-Encoding: chunked\r\n"), std::string::npos);
  client.send("3;ext=1\r\nabc\r\n");
  EXPECT_EQ(pod.read_exactly(8), "3\r\nabc\r\n");
  client.send("2\r\nde\r\n0\r\nTrailer: dropped\r\n\r\n");
  EXPECT_EQ(pod.read_until("0\r\n\r\n"), "2\r\nde\r\n0\r\n\r\n");
  pod.send(kOk);
  client.read_until("hi");
}

TEST(Gateway, streams_a_body_until_close_as_chunks_to_http11_and_until_close_to_http10) {
  GatewayBench bench;
  bench.ready_before("ada", bench.pod.port());
  RawSocket client = bench.client();
  client.send(GatewayBench::get("ada", "/"));
  RawSocket pod = bench.pod.accept();
  pod.read_until("\r\n\r\n");
  pod.send("HTTP/1.1 200 OK\r\n\r\nhello");
  EXPECT_NE(client.read_until("\r\n\r\n").find("Transfer-Encoding: chunked"), std::string::npos);
  EXPECT_EQ(client.read_exactly(10), "5\r\nhello\r\n");
  pod.close();
  EXPECT_EQ(client.read_exactly(5), "0\r\n\r\n");

  RawSocket old = bench.client();
  old.send("GET / HTTP/1.0\r\nHost: demo.localhost\r\nX-User-ID: ada\r\n\r\n");
  RawSocket second = bench.pod.accept();
  second.read_until("\r\n\r\n");
  second.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
  const std::string answer = old.read_to_end();
  EXPECT_EQ(answer.find("chunked"), std::string::npos);
  EXPECT_EQ(answer.substr(answer.size() - 9), "\r\n\r\nhello");
}

TEST(Gateway, relays_the_hundred_of_the_pod_and_sends_none_while_holding) {
  GatewayBench bench;
  RawSocket client = bench.client();
  client.send(
      "POST / HTTP/1.1\r\nHost: demo.localhost\r\nX-User-ID: ada\r\nContent-Length: 4\r\nExpect: "
      "100-continue\r\n\r\n");
  EXPECT_TRUE(client.silent_for_ms(100));
  bench.make_ready(bench.pod.port());
  RawSocket pod = bench.pod.accept();
  EXPECT_NE(pod.read_until("\r\n\r\n").find("Expect: 100-continue"), std::string::npos);
  EXPECT_TRUE(client.silent_for_ms(50));
  pod.send("HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n").substr(0, 21), "HTTP/1.1 100 Continue");
  client.send("body");
  EXPECT_EQ(pod.read_exactly(4), "body");
  pod.send(kOk);
  client.read_until("hi");
}

TEST(Gateway, an_early_final_status_ends_the_upload) {
  GatewayBench bench;
  bench.ready_before("ada", bench.pod.port());
  RawSocket client = bench.client();
  client.send(
      "POST / HTTP/1.1\r\nHost: demo.localhost\r\nX-User-ID: ada\r\nContent-Length: 1000000\r\n\r\nstart");
  RawSocket pod = bench.pod.accept();
  pod.read_until("start");
  pod.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
  const std::string answer = client.read_until("big");
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(client.at_end());
}

TEST(Gateway, tunnels_a_websocket_with_the_bytes_that_came_early_and_passes_half_close) {
  GatewayBench bench;
  bench.ready_before("ada", bench.pod.port());
  RawSocket client = bench.client();
  client.send(GatewayBench::get("ada", "/ws",
                                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"));
  RawSocket pod = bench.pod.accept();
  const std::string head = pod.read_until("\r\n\r\n");
  EXPECT_NE(head.find("Upgrade: websocket\r\n"), std::string::npos);
  pod.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
  EXPECT_EQ(client.read_until("early").substr(0, 12), "HTTP/1.1 101");
  client.send("ping");
  EXPECT_EQ(pod.read_exactly(4), "ping");
  pod.send("pong");
  EXPECT_EQ(client.read_exactly(4), "pong");
  client.shutdown_write();
  EXPECT_TRUE(pod.at_end());
  pod.send("last words");
  EXPECT_EQ(client.read_exactly(10), "last words");
  pod.close();
  EXPECT_TRUE(client.at_end());
}

TEST(Gateway, another_answer_than_101_to_an_upgrade_is_an_ordinary_answer) {
  GatewayBench bench;
  bench.ready_before("ada", bench.pod.port());
  RawSocket client = bench.client();
  client.send(GatewayBench::get("ada", "/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
  RawSocket pod = bench.pod.accept();
  pod.read_until("\r\n\r\n");
  pod.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
  client.read_until("no");
  client.send(GatewayBench::get("ada", "/next"));
  EXPECT_EQ(pod.read_until("\r\n\r\n").substr(0, 9), "GET /next");
}

TEST(Gateway, an_idle_pod_connection_that_was_closed_is_not_used) {
  GatewayBench bench;
  bench.ready_before("ada", bench.pod.port());
  RawSocket client = bench.client();
  client.send(GatewayBench::get("ada", "/"));
  {
    RawSocket pod = bench.pod.accept();
    pod.read_until("\r\n\r\n");
    pod.send(kOk);
    client.read_until("hi");
  }
  client.send("POST / HTTP/1.1\r\nHost: demo.localhost\r\nX-User-ID: ada\r\nContent-Length: 1\r\n\r\nx");
  RawSocket pod = bench.pod.accept();
  pod.read_until("x");
  pod.send(kOk);
  client.read_until("hi");
}

TEST(Gateway, a_reused_connection_that_dies_without_an_answer_is_tried_again_only_if_that_is_safe) {
  GatewayBench bench;
  bench.ready_before("ada", bench.pod.port());
  RawSocket client = bench.client();
  client.send(GatewayBench::get("ada", "/"));
  RawSocket pod = bench.pod.accept();
  pod.read_until("\r\n\r\n");
  pod.send(kOk);
  client.read_until("hi");

  client.send(GatewayBench::get("ada", "/again"));
  pod.read_until("\r\n\r\n");
  pod.close();
  pod = bench.pod.accept();
  EXPECT_EQ(pod.read_until("\r\n\r\n").substr(0, 10), "GET /again");
  pod.send(kOk);
  client.read_until("hi");

  client.send("POST /once HTTP/1.1\r\nHost: demo.localhost\r\nX-User-ID: ada\r\nContent-Length: 1\r\n\r\nx");
  pod.read_until("x");
  pod.close();
  const std::string answer = client.read_until("\r\n\r\n");
  EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 502");
  EXPECT_NE(answer.find("details=\"PR\""), std::string::npos) << answer;
  EXPECT_TRUE(bench.pod.nobody_comes_for_ms(100));
}

TEST(Gateway, a_client_that_leaves_a_hold_harms_nobody) {
  GatewayBench bench;
  RawSocket first = bench.client();
  first.send(GatewayBench::get("ada", "/first"));
  RawSocket second = bench.client();
  second.send(GatewayBench::get("ada", "/second"));
  bench.wait_for_holds(2);
  first.reset();
  bench.wait_for_holds(1);
  bench.make_ready(bench.pod.port());
  RawSocket pod = bench.pod.accept();
  const std::string head = pod.read_until("\r\n\r\n");
  EXPECT_EQ(head.substr(0, 11), "GET /second");
  pod.send(kOk);
  second.read_until("hi");
}

TEST(Gateway, a_failed_start_is_answered_at_once_with_its_reason) {
  GatewayBench bench;
  RawSocket client = bench.client();
  client.send(GatewayBench::get("ada", "/"));
  ClaimRequest claim;
  claim.provisioner = "test";
  std::optional<Session> session;
  while (!(session = bench.backend->claim(claim))) continue;
  bench.backend->publish_failed(session->key, session->generation, "no such image", Millis{60'000}).value();
  const std::string head = client.read_until("\r\n\r\n");
  EXPECT_EQ(head.substr(0, 12), "HTTP/1.1 503");
  EXPECT_NE(head.find("Retry-After: "), std::string::npos);
  EXPECT_NE(client.read_until("no such image").size(), 0U);
}

TEST(Gateway, refuses_malformed_heads_and_closes) {
  GatewayBench bench;
  for (const char* head :
       {"GET / HTTP/1.1\nHost: demo.localhost\n\n", "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "nonsense\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    RawSocket client = bench.client();
    client.send(head);
    const std::string answer = client.read_to_end();
    EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 400") << head;
    EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos) << head;
  }
}

TEST(Gateway, an_oversized_head_names_the_field) {
  GatewayBench bench;
  RawSocket client = bench.client();
  client.send("GET / HTTP/1.1\r\nHost: demo.localhost\r\nX-Big: " + std::string(40'000, 'x'));
  const std::string answer = client.read_to_end();
  EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 431");
  EXPECT_NE(answer.find("X-Big"), std::string::npos);
}

TEST(Gateway, a_pod_that_dies_between_lookup_and_dial_is_replaced_while_the_request_waits) {
  GatewayBench bench;
  std::uint16_t dead_port = 0;
  {
    RawListener gone;
    dead_port = gone.port();
  }
  bench.ready_before("ada", dead_port, "dead");
  RawSocket client = bench.client();
  client.send(GatewayBench::get("ada", "/"));
  EXPECT_TRUE(client.silent_for_ms(100));
  bench.backend->lost(SessionKey("demo", "ada"), 1, "dead", "killed").value();
  bench.make_ready(bench.pod.port(), "alive");
  RawSocket pod = bench.pod.accept();
  pod.read_until("\r\n\r\n");
  pod.send(kOk);
  client.read_until("hi");
}

TEST(Gateway, a_body_that_was_refused_is_never_read_as_the_next_request) {
  GatewayBench bench([](Settings& settings) {
    settings.identity.emplace_back(DevIdentity{});
    settings.apps.front().body_limit = 10;
  });
  bench.ready_before("ada", bench.pod.port());
  const std::string hidden = GatewayBench::get("ada", "/hidden");
  const std::string padded = std::string(17'000 - hidden.size(), 'x') + hidden;
  RawSocket client = bench.client();
  client.send("POST /.alcove/sign-in HTTP/1.1\r\nHost: demo.localhost\r\nContent-Length: 17000\r\n\r\n" +
              padded);
  EXPECT_EQ(client.read_until("\r\n\r\n").substr(0, 12), "HTTP/1.1 400");
  EXPECT_TRUE(bench.pod.nobody_comes_for_ms(100));

  RawSocket other = bench.client();
  other.send(
      "POST / HTTP/1.1\r\nHost: demo.localhost\r\nX-User-ID: ada\r\nTransfer-Encoding: chunked\r\n\r\n");
  RawSocket pod = bench.pod.accept();
  pod.read_until("\r\n\r\n");
  char size[20];
  const std::string chunk = std::string(size, proxy::write_chunk_size(size, hidden.size())) + hidden;
  other.send(chunk + "\r\n0\r\n\r\n");
  EXPECT_EQ(other.read_until("\r\n\r\n").substr(0, 12), "HTTP/1.1 413");
  EXPECT_TRUE(pod.at_end());
  EXPECT_TRUE(bench.pod.nobody_comes_for_ms(100));
}

TEST(Gateway, a_polling_path_neither_starts_nor_rescues_a_pod) {
  GatewayBench bench([](Settings& settings) { settings.apps.front().quiet_paths = {"/poll"}; });
  RawSocket client = bench.client();
  client.send(GatewayBench::get("ada", "/poll"));
  EXPECT_EQ(client.read_until("\r\n\r\n").substr(0, 12), "HTTP/1.1 503");
  EXPECT_EQ(bench.backend->lookup(SessionKey("demo", "ada")).state, State::absent);
}

TEST(Gateway, holds_to_the_end_although_the_session_is_lost_and_starts_again) {
  GatewayBench bench;
  RawSocket client = bench.client();
  client.send(GatewayBench::get("ada", "/"));
  bench.make_ready(1, "dead");  // nothing listens on port 1
  bench.backend->lost(SessionKey("demo", "ada"), 1, "dead", "killed").value();
  bench.make_ready(bench.pod.port(), "alive");
  RawSocket pod = bench.pod.accept();
  pod.read_until("\r\n\r\n");
  pod.send(kOk);
  client.read_until("hi");
}

TEST(Gateway, many_workers_and_users_at_once_each_get_their_own_pod) {
  GatewayBench bench([](Settings& settings) { settings.workers = 3; });
  constexpr int kUsers = 30;
  std::vector<std::unique_ptr<RawListener>> pods;
  std::vector<RawSocket> clients;
  for (int i = 0; i < kUsers; ++i) {
    pods.push_back(std::make_unique<RawListener>());
    bench.ready_before("user-" + std::to_string(i), pods.back()->port(), "pod-" + std::to_string(i));
    clients.push_back(bench.client());
    clients.back().send(GatewayBench::get("user-" + std::to_string(i), "/"));
  }
  for (int i = 0; i < kUsers; ++i) {
    RawSocket pod = pods[static_cast<std::size_t>(i)]->accept();
    const std::string head = pod.read_until("\r\n\r\n");
    EXPECT_NE(head.find("X-Alcove-User: user-" + std::to_string(i) + "\r\n"), std::string::npos);
    pod.send(kOk);
    clients[static_cast<std::size_t>(i)].read_until("hi");
  }
}

}  // namespace
}  // namespace alcove::test
