#include "local/proc.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>

namespace alcove {
namespace {

namespace fs = std::filesystem;

std::string read_small(const std::string& path) {
  std::string text;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  char buffer[16 * 1024];
  for (;;) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n <= 0) break;
    text.append(buffer, static_cast<std::size_t>(n));
  }
  ::close(fd);
  return text;
}

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The n-th field after the command name, which ends at the last ')': field 3 of stat(5) is 0.
std::optional<std::string_view> field_after_name(std::string_view stat, int n) {
  const std::size_t bracket = stat.rfind(')');
  if (bracket == std::string_view::npos || bracket + 2 > stat.size()) return std::nullopt;
  std::string_view rest = stat.substr(bracket + 2);
  for (; n > 0; --n) {
    const std::size_t space = rest.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(space + 1);
  }
  return rest.substr(0, rest.find_first_of(" \n"));
}

bool children_files_exist() {
  static const bool exist = ::access("/proc/thread-self/children", R_OK) == 0;
  return exist;
}

void nap(long milliseconds) {
  timespec time{milliseconds / 1000, milliseconds % 1000 * 1'000'000};
  ::nanosleep(&time, nullptr);
}

}  // namespace

std::optional<std::uint64_t> start_time_in(std::string_view stat) {
  const auto field = field_after_name(stat, 19);
  if (!field) return std::nullopt;
  return number<std::uint64_t>(*field);
}

std::optional<pid_t> parent_in(std::string_view stat) {
  const auto field = field_after_name(stat, 1);
  if (!field) return std::nullopt;
  return number<pid_t>(*field);
}

std::optional<std::uint64_t> start_time_of(pid_t pid) {
  return start_time_in(read_small(fmt::format("/proc/{}/stat", pid)));
}

std::string marker_of(pid_t pid) {
  const std::string environment = read_small(fmt::format("/proc/{}/environ", pid));
  const std::string wanted = std::string(kPodMarker) + "=";
  std::string_view rest = environment;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\0'), rest.size());
    const std::string_view variable = rest.substr(0, end);
    if (variable.starts_with(wanted)) return std::string(variable.substr(wanted.size()));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

std::string working_directory_of(pid_t pid) {
  std::error_code ec;
  const fs::path path = fs::read_symlink(fmt::format("/proc/{}/cwd", pid), ec);
  return ec ? std::string{} : path.string();
}

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  if (!children_files_exist()) {
    for (const pid_t other : all_pids()) {
      if (parent_in(read_small(fmt::format("/proc/{}/stat", other))) == pid) children.push_back(other);
    }
    return children;
  }
  std::error_code ec;
  for (fs::directory_iterator task(fmt::format("/proc/{}/task", pid), ec), end; !ec && task != end;
       task.increment(ec)) {
    const std::string text = read_small(task->path().string() + "/children");
    std::string_view rest = text;
    while (!rest.empty()) {
      const std::size_t space = std::min(rest.find(' '), rest.size());
      if (const auto child = number<pid_t>(rest.substr(0, space))) children.push_back(*child);
      rest.remove_prefix(std::min(space + 1, rest.size()));
    }
  }
  return children;
}

std::vector<Process> descendants_of(pid_t pid) {
  std::vector<Process> found;
  std::vector<pid_t> open{pid};
  while (!open.empty()) {
    const pid_t next = open.back();
    open.pop_back();
    for (const pid_t child : children_of(next)) {
      if (const auto start = start_time_of(child)) {
        found.push_back({child, *start});
        open.push_back(child);
      }
    }
  }
  return found;
}

std::vector<pid_t> all_pids() {
  std::vector<pid_t> pids;
  std::error_code ec;
  for (fs::directory_iterator entry("/proc", ec), end; !ec && entry != end; entry.increment(ec)) {
    if (const auto pid = number<pid_t>(entry->path().filename().string())) pids.push_back(*pid);
  }
  return pids;
}

std::string boot_id() {
  std::string id = read_small("/proc/sys/kernel/random/boot_id");
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

bool is_same(const Process& process) {
  return start_time_of(process.pid) == process.start_time;
}

bool kill_marked(const MarkedPods& pods) {
  if (pods.empty()) return true;
  constexpr int kRounds = 250;
  for (int round = 0; round < kRounds; ++round) {
    bool found = false;
    for (const pid_t pid : all_pids()) {
      const std::string marker = marker_of(pid);
      const auto pod = marker.empty() ? pods.end() : pods.find(marker);
      if (pod == pods.end() || start_time_of(pid).value_or(0) < pod->second) continue;
      found = true;
      ::kill(pid, SIGKILL);
    }
    if (!found) return true;
    nap(20);
  }
  return false;
}

void kill_group_below(const Process& leader, const std::string& directory) {
  if (leader.pid <= 1) return;
  for (const pid_t pid : all_pids()) {
    if (::getpgid(pid) != leader.pid || start_time_of(pid).value_or(0) < leader.start_time) continue;
    if (working_directory_of(pid).starts_with(directory + "/")) ::kill(pid, SIGKILL);
  }
}

std::string exit_text(int status) {
  if (WIFEXITED(status)) return fmt::format("exited with code {}", WEXITSTATUS(status));
  if (WIFSIGNALED(status)) {
    const char* name = ::sigabbrev_np(WTERMSIG(status));
    return fmt::format("was killed by signal {} (SIG{})", WTERMSIG(status), name != nullptr ? name : "?");
  }
  return "ended";
}

}  // namespace alcove
