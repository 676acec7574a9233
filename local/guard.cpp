#include "local/guard.hpp"

#include "local/guard_protocol.hpp"
#include "local/guard_spawn.hpp"
#include "local/log_file.hpp"
#include "local/proc.hpp"

#include <fmt/format.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <deque>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace alcove {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kControl = 3;  // the socket to the owner
constexpr int kLock = 4;     // the state directory's lock, held by having it open
constexpr milliseconds kLastGrace{1'000};
constexpr milliseconds kTick{5};  // while something is ending
constexpr std::size_t kReadPiece = 64 * 1024;
constexpr int kLastPieces = 64;  // of output read after the end of a pod

enum class Stage : std::uint8_t {
  running,
  asked,     // SIGTERM sent to the group, SIGKILL at `kill_at`
  sweeping,  // SIGKILL sent; whatever is left of it is being looked for
};

struct GuardedPod {
  std::uint64_t id = 0;
  std::string uid;
  std::string directory;
  Process leader;
  int output = -1;
  std::unique_ptr<LogWriter> log;
  Stage stage = Stage::running;
  Clock::time_point kill_at{};
  bool leader_gone = false;
  int status = 0;
  std::vector<Process> known;  // descendants when its end began: some may hide their origin later
};

class Guard {
 public:
  bool begin();
  int run();

 private:
  void on_control();
  void on_message(GuardMessage message);
  void start(GuardMessage& message);
  void ask(GuardedPod& pod, milliseconds grace);
  void read_output(GuardedPod& pod, int pieces);
  void drop_output(GuardedPod& pod);
  void reap();
  void tick();
  void sweep();
  void finish(std::uint64_t id);
  void send(const GuardMessage& message);
  void flush();
  void owner_gone();
  void kill_rest();
  void watch(int fd, std::uint64_t tag, std::uint32_t events, int op);

  // Tags in epoll: pods have their id, which the owner counts from kFirstPod on.
  static constexpr std::uint64_t kControlTag = 0;
  static constexpr std::uint64_t kSignalTag = 1;

  int epoll_ = -1;
  int signals_ = -1;
  bool owner_ = true;
  rlimit pod_files_{};
  std::deque<std::string> out_;
  std::unordered_map<std::uint64_t, GuardedPod> pods_;
  std::unordered_map<pid_t, std::uint64_t> leaders_;
  std::unordered_set<std::uint64_t> ending_;
  Clock::time_point next_tick_{};
  std::string packet_ = std::string(2 * kMostMessageBytes, '\0');
  std::string piece_ = std::string(kReadPiece, '\0');
};

void Guard::watch(int fd, std::uint64_t tag, std::uint32_t events, int op) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  ::epoll_ctl(epoll_, op, fd, &event);
}

bool Guard::begin() {
  static_assert(kPodOutput == kLock + 1);
  ::close_range(kPodOutput, ~0U, 0);
  if (!reserve_pod_output()) return false;
  ::fcntl(kControl, F_SETFD, FD_CLOEXEC);
  ::fcntl(kLock, F_SETFD, FD_CLOEXEC);
  ::fcntl(kControl, F_SETFL, O_NONBLOCK);
  ::prctl(PR_SET_NAME, "alcove-guard");
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return false;

  // Two files a pod; the pods themselves get the limit that we were given.
  ::getrlimit(RLIMIT_NOFILE, &pod_files_);
  const rlimit all{pod_files_.rlim_max, pod_files_.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &all);

  // Nobody ends the guard before the pods: it goes when its owner goes.
  for (const int number : kIgnoredByGuard) ::signal(number, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  if (::sigprocmask(SIG_SETMASK, &set, nullptr) != 0) return false;
  signals_ = ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (signals_ < 0 || epoll_ < 0) return false;
  watch(kControl, kControlTag, EPOLLIN, EPOLL_CTL_ADD);
  watch(signals_, kSignalTag, EPOLLIN, EPOLL_CTL_ADD);
  return true;
}

int Guard::run() {
  std::array<epoll_event, 64> events{};
  while (owner_ || !pods_.empty()) {
    const int timeout = ending_.empty() ? -1 : static_cast<int>(kTick.count());
    const int n = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout);
    for (int i = 0; i < n; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      if (event.data.u64 == kControlTag) {
        if (event.events & EPOLLOUT) flush();
        if (event.events & ~static_cast<std::uint32_t>(EPOLLOUT)) on_control();
      } else if (event.data.u64 == kSignalTag) {
        signalfd_siginfo info;
        while (::read(signals_, &info, sizeof info) > 0) continue;
        reap();
      } else if (const auto found = pods_.find(event.data.u64); found != pods_.end()) {
        read_output(found->second, 1);
      }
    }
    if (!ending_.empty()) tick();
  }
  kill_rest();
  return 0;
}

void Guard::on_control() {
  while (owner_) {
    const ssize_t n = ::recv(kControl, packet_.data(), packet_.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n <= 0) {
      owner_gone();
      return;
    }
    auto message = decode(std::string_view(packet_).substr(0, static_cast<std::size_t>(n)));
    if (!message) {
      std::fputs("alcove local-guard: a message of another version came; ending all pods\n", stderr);
      owner_gone();
      return;
    }
    on_message(std::move(*message));
  }
}

void Guard::on_message(GuardMessage message) {
  switch (message.word) {
    case GuardWord::start:
      start(message);
      break;
    case GuardWord::stop:
      if (const auto found = pods_.find(message.id); found != pods_.end())
        ask(found->second, milliseconds{message.number});
      break;
    case GuardWord::started:
    case GuardWord::refused:
    case GuardWord::ended:
      break;
  }
}

void Guard::start(GuardMessage& message) {
  GuardMessage answer;
  answer.id = message.id;
  std::vector<std::string>& texts = message.texts;
  std::size_t arguments = 0;
  if (texts.size() > 4) std::from_chars(texts[4].data(), texts[4].data() + texts[4].size(), arguments);
  if (texts.size() < 5 + arguments || arguments == 0) {
    answer.word = GuardWord::refused;
    answer.texts.push_back("its command is empty");
    send(answer);
    return;
  }
  SpawnOrder order;
  order.directory = texts[1];
  order.program = texts[3];
  order.files = pod_files_;
  const auto first = texts.begin() + 5;
  const auto split = first + static_cast<std::ptrdiff_t>(arguments);
  order.arguments.assign(first, split);
  order.environment.assign(split, texts.end());

  const Result<Spawned> spawned = spawn_pod(order);
  if (!spawned) {
    answer.word = GuardWord::refused;
    answer.texts.push_back(spawned.error().text);
    send(answer);
    return;
  }
  GuardedPod& pod = pods_[message.id];
  pod.id = message.id;
  pod.uid = texts[0];
  pod.directory = texts[1];
  pod.leader = {spawned->pid, spawned->start_time};
  pod.output = spawned->output;
  pod.log = std::make_unique<LogWriter>(texts[2], static_cast<std::uint64_t>(message.number));
  leaders_[spawned->pid] = message.id;
  watch(pod.output, pod.id, EPOLLIN, EPOLL_CTL_ADD);
  answer.word = GuardWord::started;
  answer.number = spawned->pid;
  answer.second = static_cast<std::int64_t>(spawned->start_time);
  send(answer);
}

void Guard::ask(GuardedPod& pod, milliseconds grace) {
  const Clock::time_point kill_at = Clock::now() + grace;
  if (pod.stage == Stage::running) {
    pod.stage = Stage::asked;
    pod.kill_at = kill_at;
    pod.known = descendants_of(pod.leader.pid);
    ending_.insert(pod.id);
    if (!pod.leader_gone) ::kill(-pod.leader.pid, SIGTERM);
  } else if (pod.stage == Stage::asked) {
    pod.kill_at = std::min(pod.kill_at, kill_at);
  }
}

void Guard::read_output(GuardedPod& pod, int pieces) {
  for (; pieces > 0 && pod.output >= 0; --pieces) {
    const ssize_t n = ::read(pod.output, piece_.data(), piece_.size());
    if (n > 0) {
      pod.log->write(std::string_view(piece_).substr(0, static_cast<std::size_t>(n)));
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else if (n < 0 && errno == EAGAIN) {
      return;
    } else {
      drop_output(pod);
    }
  }
}

void Guard::drop_output(GuardedPod& pod) {
  if (pod.output < 0) return;
  ::close(pod.output);
  pod.output = -1;
}

void Guard::reap() {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    const auto leader = leaders_.find(pid);
    if (leader == leaders_.end()) continue;  // a stray that we had adopted
    GuardedPod& pod = pods_.at(leader->second);
    leaders_.erase(leader);
    pod.leader_gone = true;
    pod.status = status;
    if (pod.stage == Stage::running) {
      pod.stage = Stage::sweeping;
      ending_.insert(pod.id);
      ::kill(-pid, SIGKILL);
    }
  }
}

// One step for every pod that is ending. A process group can only be empty or ours: the kernel does not use
// its number again while a member lives, and it is asked every few milliseconds.
void Guard::tick() {
  const Clock::time_point now = Clock::now();
  if (now < next_tick_) return;  // a flood of output must not make us look at processes all the time
  next_tick_ = now + kTick;
  for (const std::uint64_t id : ending_) {
    GuardedPod& pod = pods_.at(id);
    if (pod.stage != Stage::asked) continue;
    const bool empty = pod.leader_gone && ::kill(-pod.leader.pid, 0) != 0 && errno == ESRCH;
    if (!empty && now < pod.kill_at) continue;
    pod.stage = Stage::sweeping;
    if (!empty) ::kill(-pod.leader.pid, SIGKILL);
  }
  sweep();
}

// Kills what is left of the pods that are being swept, wherever it has hidden, and finishes those of which
// nothing is left. Every process that loses its parent becomes our child, so one look at our children finds
// the next layer.
void Guard::sweep() {
  std::unordered_map<std::string, std::uint64_t> swept;
  for (const std::uint64_t id : ending_) {
    const GuardedPod& pod = pods_.at(id);
    if (pod.stage == Stage::sweeping) swept.emplace(pod.uid, id);
  }
  if (swept.empty()) return;

  std::unordered_set<std::uint64_t> busy;
  for (const pid_t child : children_of(::getpid())) {
    if (leaders_.contains(child)) continue;
    auto owner = swept.find(marker_of(child));
    if (owner == swept.end()) {
      const std::string directory = working_directory_of(child);
      owner = std::find_if(swept.begin(), swept.end(), [&](const auto& entry) {
        return !directory.empty() && directory.starts_with(pods_.at(entry.second).directory + "/");
      });
    }
    if (owner == swept.end()) continue;
    ::kill(child, SIGKILL);
    busy.insert(owner->second);
  }
  for (const auto& [uid, id] : swept) {
    GuardedPod& pod = pods_.at(id);
    bool left = !pod.leader_gone || busy.contains(id);
    if (::kill(-pod.leader.pid, 0) == 0 || errno != ESRCH) {
      ::kill(-pod.leader.pid, SIGKILL);
      left = true;
    }
    for (const Process& process : pod.known) {
      if (!is_same(process)) continue;
      ::kill(process.pid, SIGKILL);
      left = true;
    }
    if (!left) finish(id);
  }
}

void Guard::finish(std::uint64_t id) {
  GuardedPod& pod = pods_.at(id);
  read_output(pod, kLastPieces);
  drop_output(pod);
  GuardMessage message;
  message.word = GuardWord::ended;
  message.id = id;
  message.number = pod.status;
  message.second = static_cast<std::int64_t>(pod.log->dropped());
  ending_.erase(id);
  pods_.erase(id);
  send(message);
}

void Guard::send(const GuardMessage& message) {
  if (!owner_) return;
  out_.push_back(encode(message));
  flush();
}

void Guard::flush() {
  while (!out_.empty() && owner_) {
    const ssize_t n = ::send(kControl, out_.front().data(), out_.front().size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (n < 0) {
      owner_gone();
      return;
    }
    out_.pop_front();
  }
  if (owner_) watch(kControl, kControlTag, EPOLLIN | (out_.empty() ? 0U : EPOLLOUT), EPOLL_CTL_MOD);
}

void Guard::owner_gone() {
  owner_ = false;
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, kControl, nullptr);
  for (auto& [id, pod] : pods_) ask(pod, kLastGrace);
}

// No pod is left, so whatever child there still is came from one of them.
void Guard::kill_rest() {
  for (int round = 0; round < 400; ++round) {
    reap();
    const std::vector<pid_t> children = children_of(::getpid());
    if (children.empty()) return;
    for (const pid_t child : children) ::kill(child, SIGKILL);
    ::usleep(static_cast<useconds_t>(std::chrono::microseconds(kTick).count()));
  }
}

}  // namespace

bool is_local_guard(int argc, char** argv) {
  return argc >= 2 && argv[1] == kGuardCommand;
}

int run_local_guard(int, char**) {
  if (::fcntl(kControl, F_GETFD) < 0) {
    std::fputs("alcove local-guard is started by the local runtime, not by hand\n", stderr);
    return 1;
  }
  Guard guard;
  if (!guard.begin()) {
    std::fprintf(stderr, "alcove local-guard cannot begin: %s\n", ::strerror(errno));
    return 1;
  }
  return guard.run();
}

}  // namespace alcove
