#include "tests/support/exec_stand_in.hpp"

#include "base/net.hpp"
#include "base/text.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>

#include <fcntl.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <utility>

namespace alcove::test {
namespace {

namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;
using Descriptor = asio::posix::stream_descriptor;

constexpr char kOutput = 1;
constexpr char kErrors = 2;
constexpr char kEnd = 3;
constexpr std::string_view kNewer = "v5.channel.k8s.io";

std::vector<std::string> values_of(std::string_view target, std::string_view name) {
  std::vector<std::string> out;
  target.remove_prefix(std::min(target.find('?') + 1, target.size()));
  while (!target.empty()) {
    const std::size_t amp = std::min(target.find('&'), target.size());
    const std::string_view pair = target.substr(0, amp);
    target.remove_prefix(std::min(amp + 1, target.size()));
    if (pair.size() <= name.size() || !pair.starts_with(name) || pair[name.size()] != '=') continue;
    percent_decode(pair.substr(name.size() + 1), out.emplace_back());
  }
  return out;
}

bool asks_for(std::string_view target, std::string_view name) {
  const std::vector<std::string> values = values_of(target, name);
  return !values.empty() && (values[0] == "true" || values[0] == "1");
}

// The first of those that are offered which is known.
std::string chosen(std::string_view offered, bool v5) {
  while (!offered.empty()) {
    const std::size_t comma = std::min(offered.find(','), offered.size());
    const std::string_view one = trim(offered.substr(0, comma));
    offered.remove_prefix(std::min(comma + 1, offered.size()));
    if (one == "v4.channel.k8s.io" || (v5 && one == kNewer)) return std::string(one);
  }
  return {};
}

// What runs, and the ends of its pipes that are ours. On a terminal input and output are the same.
class Child {
 public:
  explicit Child(asio::io_context& io, const ExecOrder& order) : input(io), output(io), errors(io) {
    std::signal(SIGPIPE, SIG_IGN);  // who writes to a command that has ended is told so
    std::vector<char*> words;
    for (const std::string& word : order.command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    std::array<int, 2> report{};
    if (::pipe2(report.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    if (order.terminal) {
      on_terminal(words.data(), report[1]);
    } else {
      on_pipes(words.data(), report[1]);
    }
    ::close(report[1]);
    // Nothing comes where the program runs: it closes the pipe.
    if (::read(report[0], &no_program, sizeof no_program) < 0) throw std::runtime_error("no report");
    ::close(report[0]);
  }
  // With what it has begun itself.
  ~Child() {
    if (pid < 0) return;
    ::kill(-pid, SIGKILL);
    end();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  int end() {
    int status = 0;
    ::waitpid(std::exchange(pid, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  Descriptor input;
  Descriptor output;
  Descriptor errors;
  pid_t pid = -1;
  int no_program = 0;  // errno of its start; 0: it runs

 private:
  void on_terminal(char* const* words, int report) {
    int ours = -1;
    pid = ::forkpty(&ours, nullptr, nullptr, nullptr);
    if (pid == 0) become(words, report);
    if (pid < 0) throw std::runtime_error("no pseudo-terminal");
    output.assign(ours);
    input.assign(::dup(ours));
  }

  void on_pipes(char* const* words, int report) {
    std::array<std::array<int, 2>, 3> pipes{};
    for (auto& pair : pipes)
      if (::pipe(pair.data()) != 0) throw std::runtime_error("no pipe");
    pid = ::fork();
    if (pid == 0) {
      ::setsid();  // as on a terminal
      ::dup2(pipes[0][0], 0);
      ::dup2(pipes[1][1], 1);
      ::dup2(pipes[2][1], 2);
      become(words, report);
    }
    if (pid < 0) throw std::runtime_error("no process");
    ::close(pipes[0][0]);
    ::close(pipes[1][1]);
    ::close(pipes[2][1]);
    input.assign(pipes[0][1]);
    output.assign(pipes[1][0]);
    errors.assign(pipes[2][0]);
  }

  // In the child of a process with threads: system calls alone. It keeps none of the test's connections.
  [[noreturn]] static void become(char* const* words, int report) {
    ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    std::signal(SIGPIPE, SIG_DFL);
    ::execvp(words[0], words);
    const int failed = errno;
    const ssize_t told = ::write(report, &failed, sizeof failed);
    ::_exit(told < 0 ? 126 : 127);
  }
};

// As containerd says it, with a number that is another each time.
std::string no_start(const std::string& why) {
  return "error executing command in container: failed to exec in container: failed to start exec "
         "\"f03ed775\": OCI runtime exec failed: exec failed: " +
         why + ": unknown";
}
std::string no_program(const std::string& word, int error) {
  const std::string why = error != ENOENT ? std::strerror(error)
                          : word.find('/') == std::string::npos
                              ? "executable file not found in $PATH"
                              : "stat " + word + ": no such file or directory";
  return no_start("unable to start container process: exec: \"" + word + "\": " + why);
}

Json internal_error(const std::string& what) {
  return {{"metadata", Json::object()},
          {"status", "Failure"},
          {"message", "Internal error occurred: " + what},
          {"reason", "InternalError"},
          {"details", {{"causes", {{{"message", what}}}}}},
          {"code", 500}};
}

Json status_of(const std::vector<std::string>& command, int code) {
  if (code == 0) return {{"metadata", Json::object()}, {"status", "Success"}};
  std::string words;
  for (const std::string& word : command) words += (words.empty() ? "" : " ") + word;
  return {{"metadata", Json::object()},
          {"status", "Failure"},
          {"message", "command terminated with non-zero exit code: error executing command [" + words +
                          "], exit code " + std::to_string(code)},
          {"reason", "NonZeroExitCode"},
          {"details", {{"causes", {{{"reason", "ExitCode"}, {"message", std::to_string(code)}}}}}}};
}

template <class Stream>
bool accept(websocket::stream<Stream&>& socket, const ExecRequest& request, const ExecOrder& order) {
  socket.set_option(websocket::stream_base::decorator([&](websocket::response_type& response) {
    response.set(http::field::sec_websocket_protocol, order.protocol);
  }));
  socket.binary(true);
  // An empty message on the first channel that there is.
  const char first = order.output ? kOutput : order.errors ? kErrors : kEnd;
  error_code ec;
  socket.accept(request, ec);
  if (!ec) socket.write(asio::buffer(&first, 1), ec);
  return !ec;
}

template <class Stream>
void send_end(websocket::stream<Stream&>& socket, const Json& status) {
  error_code ec;
  socket.write(asio::buffer(kEnd + status.dump()), ec);
  // It closes and waits for nobody; Beast's own close would read until the client closes as well.
  if (!ec) asio::write(socket.next_layer(), asio::buffer("\x88\x02\x03\xe8", 4), ec);
  socket.next_layer().lowest_layer().shutdown(asio::socket_base::shutdown_send, ec);
}

template <class Stream>
class Exec {
 public:
  Exec(asio::io_context& io, websocket::stream<Stream&>& socket, const ExecOrder& order)
      : socket_(socket), child_(io, order), order_(order), left_(order.terminal ? 1 : 2) {}

  void run(asio::io_context& io) {
    launch(io, take_input());
    launch(io, give_output(child_.output, kOutput, order_.output));
    if (!order_.terminal) launch(io, give_output(child_.errors, kErrors, order_.errors));
    io.run();
  }

 private:
  Awaitable<void> take_input() {
    for (;;) {
      std::string message;
      const bool whole = co_await read(message);
      const bool understood = whole && socket_.got_binary() && !message.empty();
      if (!understood) break;
      const std::string_view text = std::string_view(message).substr(1);
      if (message[0] == 0) {
        if (!order_.input) continue;
        // What nobody reads any more goes to nobody.
        co_await asio::async_write(child_.input, asio::buffer(text), kTuple);
      } else if (message[0] == 4 && order_.terminal) {
        resize(text);
      } else if (message == std::string("\xff\0", 2) && order_.protocol == kNewer) {
        child_.input.close();
      } else {
        break;
      }
    }
    lose_client();
  }

  // One message. False: the connection ended, or the message has several frames, each of which the real one
  // takes for a message.
  Awaitable<bool> read(std::string& message) {
    constexpr std::size_t kAny = std::numeric_limits<std::size_t>::max();
    boost::beast::flat_buffer buffer;
    do {
      auto [ec, size] = co_await socket_.async_read_some(buffer, 0, kTuple);
      if (ec) co_return false;
      // What is left of a last frame is known, and of a message after any other frame it is not.
      if (!socket_.is_message_done() && socket_.read_size_hint(kAny) == kAny) co_return false;
    } while (!socket_.is_message_done());
    message = boost::beast::buffers_to_string(buffer.data());
    co_return true;
  }

  // What was not asked for is read and sent to nobody, and so is what comes when the client has gone.
  Awaitable<void> give_output(Descriptor& from, char channel, bool asked) {
    std::string message(4096, channel);
    for (;;) {
      auto [ec, size] =
          co_await from.async_read_some(asio::buffer(message.data() + 1, message.size() - 1), kTuple);
      if (ec) break;  // a terminal whose last user is gone says EIO
      if (asked && !client_gone_) send(std::string_view(message).substr(0, size + 1));
    }
    if (--left_ == 0) tell_end();
  }

  // Output that nobody takes holds up this connection's thread, and so the command.
  void send(std::string_view message) {
    error_code ec;
    socket_.write(asio::buffer(message), ec);
    client_gone_ = client_gone_ || ec;
  }

  void resize(std::string_view text) {
    const Json size = Json::parse(text, nullptr, false);
    if (!size.is_object() || !size.contains("Width") || !size.contains("Height")) return;
    winsize now{};
    now.ws_col = size["Width"].get<std::uint16_t>();
    now.ws_row = size["Height"].get<std::uint16_t>();
    ::ioctl(child_.output.native_handle(), TIOCSWINSZ, &now);
  }

  void tell_end() {
    if (child_.pid < 0) return;
    const int code = child_.end();
    if (child_.no_program != 0) {
      send_end(socket_, internal_error(no_program(order_.command[0], child_.no_program)));
    } else {
      send_end(socket_, status_of(order_.command, code));
    }
  }

  // The client has gone, or says what is not understood. The command goes on all the same: containerd does
  // not end it, and its terminal does not hang up.
  void lose_client() {
    error_code ignored;
    client_gone_ = true;
    socket_.next_layer().lowest_layer().shutdown(asio::socket_base::shutdown_both, ignored);
    if (!order_.terminal) child_.input.close(ignored);
  }

  websocket::stream<Stream&>& socket_;
  Child child_;
  const ExecOrder& order_;
  int left_;  // outputs that go on
  bool client_gone_ = false;
};

template <class Stream>
void run(asio::io_context& io, Stream& stream, const ExecRequest& request, const ExecOrder& order) {
  websocket::stream<Stream&> socket(stream);
  if (!accept(socket, request, order)) return;
  if (order.refused.empty()) {
    Exec<Stream> exec(io, socket, order);
    exec.run(io);
    return;
  }
  send_end(socket, internal_error(order.refused));
  // Until the client has gone: a connection that ends with input unread takes the Status with it.
  boost::beast::flat_buffer unread;
  for (error_code ec; !ec; unread.clear()) socket.read(unread, ec);
}

ExecRefusal said_by_api(int code, const std::string& reason, const std::string& message) {
  return {code, "application/json", status_answer(code, reason, message).body.dump()};
}

// Asked by the node, to which an older API passes on what was asked for; with the newer protocol it asks by
// itself.
bool accepts_any(const ExecRequest& request) {
  const auto found = request.find(http::field::accept);
  return found == request.end() || found->value().find("*/*") != std::string_view::npos;
}

bool has(const Json& pod, const char* which, const std::string& name) {
  for (const Json& container : k8s::list_at(pod, {"spec", which}))
    if (k8s::text_at(container, {"name"}) == name) return true;
  return false;
}

}  // namespace

std::optional<ExecRefusal> exec_refused(const ExecRequest& request, const std::string& pod,
                                        const std::optional<Json>& object, bool v5, ExecOrder& order) {
  const std::string_view target(request.target().data(), request.target().size());
  order.command = values_of(target, "command");
  order.input = asks_for(target, "stdin");
  order.terminal = asks_for(target, "tty");
  order.output = asks_for(target, "stdout");
  order.errors = asks_for(target, "stderr") && !order.terminal;
  order.protocol = chosen(std::string(request[http::field::sec_websocket_protocol]), v5);

  if (!object) return said_by_api(404, "NotFound", "pods \"" + pod + "\" not found");
  const std::vector<std::string> asked = values_of(target, "container");
  const std::string container = asked.empty() ? "" : asked[0];
  const bool lasts = has(*object, "containers", container);
  if (!lasts && !has(*object, "initContainers", container))
    return said_by_api(400, "BadRequest", "container " + container + " is not valid for pod " + pod);
  const std::string phase = k8s::text_at(*object, {"status", "phase"});
  if (phase == "Pending")
    return said_by_api(400, "BadRequest", "pod " + pod + " does not have a host assigned");
  if (!websocket::is_upgrade(request)) return said_by_api(400, "BadRequest", "Upgrade request required");

  std::optional<ExecRefusal> node;
  if (order.protocol != kNewer && !accepts_any(request)) {
    node = {406, "text/plain", "406: Not Acceptable"};
  } else if (!order.input && !order.output && !order.errors) {
    node = {400, "text/plain", "you must specify at least 1 of stdin, stdout, stderr"};
  } else if (!lasts || phase != "Running") {
    node = {500, "text/plain", "container not found (\"" + container + "\")"};
  } else if (order.protocol.empty()) {
    // Who offers none gets the oldest from the real one; that tells no exit code, and nobody wants it.
    node = {403, "", ""};
  }
  if (!node && order.command.empty()) order.refused = no_start("args must not be empty");
  // With the newer protocol the API opens first, and asks the node then.
  if (!node || order.protocol != kNewer) return node;
  order.refused = "unable to upgrade connection: " + node->body;
  return std::nullopt;
}

void run_exec(asio::io_context& io, PlainStream& stream, const ExecRequest& request, const ExecOrder& order) {
  run(io, stream, request, order);
}
void run_exec(asio::io_context& io, SecureStream& stream, const ExecRequest& request,
              const ExecOrder& order) {
  run(io, stream, request, order);
}

}  // namespace alcove::test
