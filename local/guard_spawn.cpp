#include "local/guard_spawn.hpp"

#include "local/proc.hpp"

#include <fmt/format.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

namespace alcove {
namespace {

enum class Step : int { directory, program };

struct ChildFailure {
  Step step = Step::program;
  int error = 0;
};

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

void default_signals() {
  // Ignored signals and the mask survive exec: a pod that ignores SIGPIPE or blocks SIGTERM would surprise
  // its author. The guard itself began with all of them at their default.
  for (const int number : kIgnoredByGuard) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

struct Child {
  const SpawnOrder& order;
  char* const* arguments;
  char* const* environment;
  pid_t guard;
  int output;
  int status;
};

// Works on the guard's memory (vfork): it may change nothing there that the guard still needs.
[[noreturn]] void become_pod(const Child& child) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != child.guard) ::_exit(127);  // it died before the line above
  default_signals();
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::setrlimit(RLIMIT_NOFILE, &child.order.files);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, 0);
  ::dup2(child.output, 1);
  ::dup2(child.output, 2);
  ChildFailure failure;
  if (::chdir(child.order.directory.c_str()) != 0) {
    failure = {Step::directory, errno};
  } else {
    ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    ::execve(child.order.program.c_str(), child.arguments, child.environment);
    failure = {Step::program, errno};
  }
  [[maybe_unused]] const ssize_t told = ::write(child.status, &failure, sizeof failure);
  ::_exit(127);
}

// vfork and not fork: a copy of the guard's pages, its libraries' among them, costs more than all the rest of
// a start. A function of its own, since nobody may return from the one that has called vfork.
pid_t spawn(const Child& child) {
  const pid_t pid = ::vfork();
  if (pid == 0) become_pod(child);
  return pid;
}

Error failed(std::string text) {
  return {Errc::failed, std::move(text)};
}

}  // namespace

Result<Spawned> spawn_pod(const SpawnOrder& order) {
  std::array<int, 2> output{-1, -1};
  std::array<int, 2> status{-1, -1};
  if (::pipe2(output.data(), O_CLOEXEC) != 0)
    return failed(fmt::format("no pipe for its output: {}", ::strerror(errno)));
  if (::pipe2(status.data(), O_CLOEXEC) != 0) {
    const int error = errno;
    ::close(output[0]);
    ::close(output[1]);
    return failed(fmt::format("no pipe for its start: {}", ::strerror(error)));
  }
  ::fcntl(output[0], F_SETFL, O_NONBLOCK);

  const std::vector<char*> arguments = pointers_to(order.arguments);
  const std::vector<char*> environment = pointers_to(order.environment);
  const pid_t pid = spawn({order, arguments.data(), environment.data(), ::getpid(), output[1], status[1]});
  const int fork_error = errno;
  ::close(output[1]);
  ::close(status[1]);
  if (pid < 0) {
    ::close(output[0]);
    ::close(status[0]);
    return failed(fmt::format("no new process: {}", ::strerror(fork_error)));
  }

  ChildFailure failure;
  ssize_t n = 0;
  do n = ::read(status[0], &failure, sizeof failure);
  while (n < 0 && errno == EINTR);
  ::close(status[0]);
  if (n == static_cast<ssize_t>(sizeof failure)) {
    ::waitpid(pid, nullptr, 0);
    ::close(output[0]);
    if (failure.step == Step::directory)
      return failed(
          fmt::format("its directory {} cannot be entered: {}", order.directory, ::strerror(failure.error)));
    return failed(fmt::format("{} cannot be executed: {}", order.program, ::strerror(failure.error)));
  }
  // A process that has ended already is a zombie until the guard looks: its start time can still be read.
  return Spawned{pid, start_time_of(pid).value_or(0), output[0]};
}

}  // namespace alcove
