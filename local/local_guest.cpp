#include "local/local_guest.hpp"

#include "base/log.hpp"
#include "local/local_owner.hpp"
#include "local/proc.hpp"

#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

namespace alcove {
namespace {

using Descriptor = asio::posix::basic_stream_descriptor<Executor>;

constexpr Millis kLook{10};       // at the owner's tidying up
constexpr Millis kTidyUp{5'000};  // how long it may take

// glibc 2.36 declares pidfd_open without extern "C".
int pidfd_open_of(pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

}  // namespace

LocalGuest::LocalGuest(Executor executor, std::unique_ptr<StateDir> dir)
    : executor_(executor), dir_(std::move(dir)) {}

Awaitable<Result<Pod>> LocalGuest::start(PodSpec) {
  co_return Error{Errc::failed,
                  "this process does not run pods: start an alcove provisioner on this machine"};
}

Awaitable<Result<void>> LocalGuest::stop(PodName name, Millis grace) {
  const SteadyTime until = SteadyClock::now() + grace + kTidyUp;
  std::string uid;
  while (SteadyClock::now() < until) {
    const std::optional<PodRecord> record = dir_->read(name);
    // The name may be used again by a later life of a memory store: another UID is another pod.
    if (!record || (!uid.empty() && record->uid != uid)) co_return Result<void>{};
    uid = record->uid;
    if (record->boot_id != boot_id() || !dir_->has_owner()) {
      MarkedPods left;
      left.emplace(record->uid, record->leader.start_time);
      if (record->boot_id == boot_id()) kill_marked(left);
      dir_->remove(name);
      co_return Result<void>{};
    }
    if (record->leader.pid > 0 && is_same(record->leader)) co_await end_process(*record, grace);
    co_await pause(kLook);
  }
  co_return Error{Errc::timeout, shown(name) + " was told to end, but is still there"};
}

// The descriptor names the process for good, so the checks after it hold for what is killed.
Awaitable<void> LocalGuest::end_process(PodRecord record, Millis grace) {
  const int fd = pidfd_open_of(record.leader.pid);
  if (fd < 0) co_return;
  Descriptor process(executor_, fd);
  if (!is_same(record.leader) || marker_of(record.leader.pid) != record.uid) co_return;
  ::kill(-record.leader.pid, SIGTERM);

  Timer limit(executor_, grace);
  bool late = false;
  limit.async_wait([&process, &late](error_code ec) {
    if (ec) return;
    late = true;
    process.cancel(ec);
  });
  co_await process.async_wait(Descriptor::wait_read, kTuple);
  if (late) {
    if (is_same(record.leader)) ::kill(-record.leader.pid, SIGKILL);
    co_await process.async_wait(Descriptor::wait_read, kTuple);
    co_return;
  }
  limit.cancel();
  // Lets the aborted handler above run before what it refers to goes away.
  co_await pause(Millis{0});
}

Awaitable<Result<std::vector<Pod>>> LocalGuest::list() {
  std::vector<Pod> pods;
  const std::string boot = boot_id();
  for (const PodRecord& record : dir_->records()) {
    if (record.boot_id != boot) continue;
    Pod pod;
    pod.name = record.name;
    pod.app = record.app;
    pod.user = record.user;
    pod.uid = record.uid;
    pod.endpoint = record.endpoint;
    pod.ready = record.ready;
    pods.push_back(std::move(pod));
  }
  co_return pods;
}

Awaitable<Result<LogChunk>> LocalGuest::logs(LogRequest request) {
  if (request.name.generation == 0) request.name.generation = dir_->latest(request.name.key);
  const bool runs = dir_->read(request.name).has_value();
  co_return read_pod_log(*dir_, request, runs);
}

Awaitable<void> LocalGuest::shut_down() {
  co_return;
}

Awaitable<void> LocalGuest::pause(Millis duration) {
  Timer timer(executor_, duration);
  co_await timer.async_wait(kTuple);
}

}  // namespace alcove
