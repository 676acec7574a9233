// What the stand-in for the Kubernetes API does with `.../pods/NAME/exec`: the command really runs, as a
// child of the test, on a pseudo-terminal or on pipes, so that echo, exit codes and sizes are the system's
// own and nothing of them is imitated. Strict where the real one is, and where it goes wrong without a word:
// what a request lacks, and what a message may be. Source: kubelet's cri/streaming/remotecommand, what
// Kubernetes 1.20 with containerd 1.6 says, word for word, and what tests/contract/exec_contract_test.cpp
// tries on both.
#pragma once

#include "tests/support/api_objects.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace alcove::test {

using ExecRequest = boost::beast::http::request<boost::beast::http::string_body>;
using PlainStream = boost::asio::ip::tcp::socket;
using SecureStream = boost::asio::ssl::stream<PlainStream>;

struct ExecOrder {
  std::string protocol;
  std::vector<std::string> command;
  bool input = false;
  bool output = false;
  bool errors = false;
  bool terminal = false;
  std::string refused;  // by the node; it is told when the connection is open. Empty: it is not
};

// What the API says is JSON, what it passes on from the node is not.
struct ExecRefusal {
  int status = 0;
  std::string type;
  std::string body;
};

// What is answered instead, or what to run. `v5`: whether the newer protocol is known.
std::optional<ExecRefusal> exec_refused(const ExecRequest& request, const std::string& pod,
                                        const std::optional<Json>& object, bool v5, ExecOrder& order);
// Upgrades the connection and runs the command until it ends, however early the client goes, or `io` is
// stopped. `io`: the stream's, which nobody else runs.
void run_exec(boost::asio::io_context& io, PlainStream& stream, const ExecRequest& request,
              const ExecOrder& order);
void run_exec(boost::asio::io_context& io, SecureStream& stream, const ExecRequest& request,
              const ExecOrder& order);

}  // namespace alcove::test
