#include "local/guard_spawn.hpp"

#include "local/proc.hpp"

#include <fmt/format.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

namespace alcove {
namespace {

enum class Step : int { descriptors, directory, program };

struct Child {
  const SpawnOrder& order;
  char* const* arguments;
  char* const* environment;
  pid_t guard;
  Step step = Step::descriptors;
  int error = 0;  // why it could not become the pod, and at which step
};

// The child's, until it is the pod's program. More than it needs: the sanitizers' wrappers want some too.
alignas(16) std::array<char, 256 * 1024> child_stack;

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// The sanitizers do not follow what runs on a stack of its own and never returns.
#define ALCOVE_IN_CHILD [[gnu::no_sanitize_address]] [[gnu::no_sanitize_thread]]

ALCOVE_IN_CHILD [[noreturn]] void give_up(Child& child, Step step) {
  child.error = errno;
  child.step = step;
  ::_exit(127);
}

ALCOVE_IN_CHILD void default_signals() {
  // Ignored signals and the mask survive exec: a pod that ignores SIGPIPE or blocks SIGTERM would surprise
  // its author. The guard itself began with all of them at their default.
  for (const int number : kIgnoredByGuard) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Works on the guard's memory: it may change nothing there but its own `Child`, which is how it tells why it
// has failed.
ALCOVE_IN_CHILD int become_pod(void* given) {
  Child& child = *static_cast<Child*>(given);
  // First of all a table of descriptors of its own, in which nothing lies above the pod's output.
  if (::close_range(kPodOutput + 1, ~0U, CLOSE_RANGE_UNSHARE) != 0) give_up(child, Step::descriptors);
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != child.guard) ::_exit(127);  // it died before the line above
  default_signals();
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::setrlimit(RLIMIT_NOFILE, &child.order.files);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, 0);
  ::dup2(kPodOutput, 1);
  ::dup2(kPodOutput, 2);
  if (::chdir(child.order.directory.c_str()) != 0) give_up(child, Step::directory);
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  ::execve(child.order.program.c_str(), child.arguments, child.environment);
  give_up(child, Step::program);
}

Error failed(std::string text) {
  return {Errc::failed, std::move(text)};
}

std::string reason_of(const Child& child) {
  const char* const why = ::strerror(child.error);
  switch (child.step) {
    case Step::directory:
      return fmt::format("its directory {} cannot be entered: {}", child.order.directory, why);
    case Step::program:
      return fmt::format("{} cannot be executed: {}", child.order.program, why);
    case Step::descriptors:
      break;
  }
  return fmt::format(
      "no descriptors for its process: close_range(2): {}; Linux has it since 5.9, and a "
      "sandbox must allow it",
      why);
}

}  // namespace

bool reserve_pod_output() {
  return ::dup3(0, kPodOutput, O_CLOEXEC) == kPodOutput;
}

Result<Spawned> spawn_pod(const SpawnOrder& order) {
  std::array<int, 2> output{-1, -1};
  if (::pipe2(output.data(), O_CLOEXEC) != 0)
    return failed(fmt::format("no pipe for its output: {}", ::strerror(errno)));
  ::fcntl(output[0], F_SETFL, O_NONBLOCK);
  const bool given = ::dup3(output[1], kPodOutput, O_CLOEXEC) == kPodOutput;
  const int dup_error = errno;
  ::close(output[1]);
  if (!given) {
    ::close(output[0]);
    return failed(fmt::format("no descriptor for its output: {}", ::strerror(dup_error)));
  }

  // As vfork, since copies of the guard's pages cost more than all the rest of a start; but with the table of
  // descriptors shared too. The guard has one for each pod, and a copy of them all would only be closed
  // again.
  const std::vector<char*> arguments = pointers_to(order.arguments);
  const std::vector<char*> environment = pointers_to(order.environment);
  Child child{order, arguments.data(), environment.data(), ::getpid()};
  const pid_t pid = ::clone(become_pod, child_stack.data() + child_stack.size(),
                            CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &child);
  const int clone_error = errno;
  reserve_pod_output();  // which closes our writing end: the pipe is to end with the pod
  if (pid > 0 && child.error == 0) {
    // One that has ended already is a zombie until the guard looks: its start time can still be read.
    return Spawned{pid, start_time_of(pid).value_or(0), output[0]};
  }
  ::close(output[0]);
  if (pid < 0) return failed(fmt::format("no new process: {}", ::strerror(clone_error)));
  ::waitpid(pid, nullptr, 0);
  return failed(reason_of(child));
}

}  // namespace alcove
