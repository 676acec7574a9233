// A local runtime in a temporary state directory, for tests; removed at the end, and nothing of it may run
// then.
#pragma once

#include "base/log.hpp"
#include "local/local_owner.hpp"
#include "local/local_runtime.hpp"
#include "local/proc.hpp"
#include "tests/support/run_awaitable.hpp"

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace alcove::test {

inline LocalRuntimeSettings local_settings(const std::string& directory) {
  LocalRuntimeSettings settings;
  settings.directory = directory;
  return settings;
}

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string path = (std::filesystem::temp_directory_path() / "alcove-test-XXXXXX").string();
    if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("no temporary directory");
    path_ = path;
  }
  ~TemporaryDirectory() {
    std::error_code ec;
    std::filesystem::remove_all(path_, ec);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Every process whose mark names a pod of this state directory.
inline std::vector<pid_t> processes_of(const std::string& directory) {
  const auto dir = StateDir::open(directory);
  std::vector<pid_t> found;
  for (const pid_t pid : all_pids()) {
    const std::string marker = marker_of(pid);
    if (!marker.empty() && dir && (*dir)->is_ours(marker)) found.push_back(pid);
  }
  return found;
}

inline std::vector<pid_t> processes_of_pod(const std::string& uid) {
  std::vector<pid_t> found;
  for (const pid_t pid : all_pids())
    if (marker_of(pid) == uid) found.push_back(pid);
  return found;
}

struct LocalBench {
  explicit LocalBench(std::string program) {
    spdlog::set_level(spdlog::level::off);
    app.name = "demo";
    app.command = {std::move(program)};
    app.port = 18080;
    app.start_timeout = Millis{15'000};
    app.stop_grace = Millis{2'000};
    runtime = make_local_runtime(local_settings(directory.path()), context, LocalMode::owner);
  }
  ~LocalBench() {
    if (runtime) {
      run(context, runtime->shut_down());
      runtime.reset();
    }
    EXPECT_EQ(processes_of(directory.path()).size(), 0U) << "processes were left behind";
  }

  PodSpec spec(const std::string& user = "ada", Generation generation = 1) const {
    PodSpec s;
    s.name = {SessionKey("demo", session_name(user).value()), generation};
    s.user = user;
    s.app = app;
    return s;
  }
  PodSpec spec_with(std::vector<std::string> arguments, const std::string& user = "ada") const {
    PodSpec s = spec(user);
    s.app.command.insert(s.app.command.end(), arguments.begin(), arguments.end());
    return s;
  }
  Result<Pod> start(PodSpec s) { return run(context, runtime->start(std::move(s))).value(); }
  Result<void> stop(const PodName& name, Millis grace = Millis{2'000}) {
    return run(context, runtime->stop(name, grace)).value();
  }
  std::vector<Pod> list() { return run(context, runtime->list()).value().value(); }
  LocalOwner& owner() { return dynamic_cast<LocalOwner&>(*runtime); }

  asio::io_context context{1};
  TemporaryDirectory directory;
  AppSettings app;
  std::unique_ptr<Runtime> runtime;
};

// What the endpoint answers to a GET; empty if nobody does.
inline std::string get(const Endpoint& endpoint) {
  asio::io_context context{1};
  Socket socket(context.get_executor());
  error_code ec;
  socket.connect(endpoint, ec);
  if (ec) return {};
  asio::write(socket, asio::buffer(std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n")), ec);
  std::string answer;
  asio::read(socket, asio::dynamic_buffer(answer), ec);
  return answer;
}

}  // namespace alcove::test
