#include "local/local_owner.hpp"

#include "base/log.hpp"
#include "local/log_file.hpp"
#include "local/pod_order.hpp"

#include <random>
#include <stdexcept>
#include <utility>

namespace alcove {
namespace {

constexpr std::size_t kReasonLogBytes = 600;  // of the last output in a reason
constexpr Millis kFailedStartGrace{2'000};    // for a pod that never got ready
constexpr Millis kGuardLastWait{15'000};
constexpr Millis kGuardLived{10'000};  // a guard that lived so long died for a reason of its own
constexpr Millis kMostLastGrace{10'000};

std::string with_output(std::string text, const std::string& stem) {
  const std::string lines = last_lines(stem, kReasonLogBytes);
  if (lines.empty()) return text + "; it wrote nothing";
  return text + "; it wrote: " + lines;
}

Pod pod_from(const PodRecord& record) {
  Pod pod;
  pod.name = record.name;
  pod.app = record.app;
  pod.user = record.user;
  pod.uid = record.uid;
  pod.endpoint = record.endpoint;
  pod.ready = record.ready;
  return pod;
}

}  // namespace

LocalOwner::LocalOwner(asio::io_context& context, std::unique_ptr<StateDir> dir, AddressPool addresses)
    : context_(context),
      executor_(context.get_executor()),
      dir_(std::move(dir)),
      addresses_(std::move(addresses)),
      listeners_(Listeners::open()),
      boot_id_(boot_id()),
      tasks_(executor_) {
  start_guard();
  if (!guard_) throw std::runtime_error("the guard process of the local runtime cannot be started");
}

LocalOwner::~LocalOwner() {
  if (guard_) guard_->close();
}

void LocalOwner::start_guard() {
  Result<std::shared_ptr<GuardLink>> link = GuardLink::start(
      context_, dir_->lock_descriptor(), [this](const GuardMessage& message) { on_message(message); },
      [this] { tasks_.spawn(guard_died()); });
  if (!link) {
    spdlog::error("{}", link.error().text);
    guard_.reset();
    return;
  }
  guard_ = std::move(*link);
  guard_since_ = SteadyClock::now();
}

LocalOwner::PodPtr LocalOwner::find(const PodName& name) const {
  const auto found = pods_.find({name.key, name.generation});
  return found == pods_.end() ? nullptr : found->second;
}

Awaitable<Result<Pod>> LocalOwner::start(PodSpec spec) {
  if (shutting_down_) co_return Error{Errc::cancelled, "alcove is shutting down"};
  const PodName name = spec.name;
  for (PodPtr there = find(name); there; there = find(name)) {
    // The same start again adopts: it waits for the result of the first, or for the end of one that is being
    // stopped.
    if (there->settled && !there->stopping && !there->start_error) co_return pod_from(there->record);
    const bool wants_result = !there->settled;
    while (wants_result ? !there->settled : !there->gone) co_await there->changed.wait();
    if (wants_result && there->start_error) co_return *there->start_error;
    if (shutting_down_) co_return Error{Errc::cancelled, "alcove is shutting down"};
  }

  auto pod = std::make_shared<LocalPod>(executor_);
  pod->id = next_id_++;
  pod->record.name = name;
  pod->record.app = spec.app.name;
  pod->record.user = spec.user;
  pod->record.uid = dir_->new_uid();
  pod->record.boot_id = boot_id_;
  pod->stop_grace = spec.app.stop_grace;
  pods_[{name.key, name.generation}] = pod;

  Result<void> launched = co_await launch(pod, std::move(spec));
  if (launched && (pod->stopping || pod->gone))
    launched = Error{Errc::cancelled, "it was stopped while it started"};
  if (!launched) {
    const bool stopped = pod->stopping;
    pod->stopping = true;
    co_await end(pod, kFailedStartGrace);
    pod->start_error = stopped ? Error{Errc::cancelled, "it was stopped while it started"} : launched.error();
    pod->settled = true;
    pod->changed.notify();
    co_return *pod->start_error;
  }
  pod->record.ready = true;
  if (const Result<void> written = dir_->write(pod->record); !written)
    spdlog::warn("{}", written.error().text);
  pod->settled = true;
  pod->changed.notify();
  co_return pod_from(pod->record);
}

// From nothing to an answering pod. What it has begun when it fails, end() takes back.
Awaitable<Result<void>> LocalOwner::launch(PodPtr pod, PodSpec spec) {
  const SteadyTime begun = SteadyClock::now();
  const Result<Endpoint> endpoint = addresses_.take(spec.app.port);
  if (!endpoint) co_return endpoint.error();
  pod->record.endpoint = *endpoint;
  pod->has_address = true;

  const PodPlace place{*endpoint, dir_->working_directory(spec.name), pod->record.uid};
  const Result<PodOrder> order = order_for(spec, place);
  if (!order) co_return order.error();
  if (Result<void> made = dir_->make_working_directory(spec.name); !made) co_return made.error();
  if (Result<void> written = write_files(*order, place.directory); !written) co_return written.error();
  if (Result<void> written = dir_->write(pod->record); !written) co_return written.error();
  if (!guard_) co_return Error{Errc::failed, "the guard process of the local runtime is being started again"};

  GuardMessage message;
  message.word = GuardWord::start;
  message.id = pod->id;
  message.number = static_cast<std::int64_t>(spec.app.log_limit);
  message.texts = {pod->record.uid, place.directory, dir_->log_stem(spec.name), order->program,
                   std::to_string(order->arguments.size())};
  message.texts.insert(message.texts.end(), order->arguments.begin(), order->arguments.end());
  message.texts.insert(message.texts.end(), order->environment.begin(), order->environment.end());
  by_id_[pod->id] = pod;
  pod->asked_guard = true;
  guard_->send(message);
  while (!pod->answered && !pod->gone) co_await pod->changed.wait();
  if (pod->start_error) co_return *pod->start_error;
  const std::string stem = dir_->log_stem(spec.name);
  if (pod->gone)
    co_return Error{Errc::failed, with_output(fmt::format("the pod {} at once", pod->ended), stem)};
  if (Result<void> written = dir_->write(pod->record); !written) spdlog::warn("{}", written.error().text);
  if (pod->stopping) co_return Error{Errc::cancelled, "it was stopped while it started"};

  ReadyCheck::Kernel kernel;
  if (listeners_) kernel.listens = [this](const Endpoint& there) { return listeners_->has(there); };
  pod->check = std::make_shared<ReadyCheck>(executor_, *endpoint, spec.app.ready_path, std::move(kernel));
  const std::shared_ptr<ReadyCheck> check = pod->check;
  const Result<void> ready =
      co_await ReadyCheck::run(check, begun, spec.app.start_timeout, ReadyCheck::kJustStarted);
  pod->check.reset();
  if (pod->stopping) co_return Error{Errc::cancelled, "it was stopped while it started"};
  if (pod->gone)
    co_return Error{Errc::failed,
                    with_output(fmt::format("the pod {} before it was ready", pod->ended), stem)};
  if (!ready) co_return Error{Errc::failed, with_output("the pod at " + ready.error().text, stem)};
  co_return Result<void>{};
}

Awaitable<Result<void>> LocalOwner::stop(PodName name, Millis grace) {
  const PodPtr pod = find(name);
  if (!pod) co_return Result<void>{};
  pod->stopping = true;
  if (pod->check) pod->check->cancel();
  co_await end(pod, grace);
  co_return Result<void>{};
}

Awaitable<void> LocalOwner::end(PodPtr pod, Millis grace) {
  if (pod->gone) co_return;
  if (!pod->asked_guard) {
    // No process yet. start() is between two steps of its own, or ends here itself: either way nothing will
    // come.
    forget(pod);
    co_return;
  }
  if (guard_) {
    GuardMessage message;
    message.word = GuardWord::stop;
    message.id = pod->id;
    message.number = grace.count();
    guard_->send(message);
  }
  while (!pod->gone) co_await pod->changed.wait();
}

void LocalOwner::on_message(const GuardMessage& message) {
  const auto found = by_id_.find(message.id);
  if (found == by_id_.end()) return;
  const PodPtr pod = found->second;
  switch (message.word) {
    case GuardWord::started:
      pod->record.leader = {static_cast<pid_t>(message.number), static_cast<std::uint64_t>(message.second)};
      pod->answered = true;
      pod->changed.notify();
      break;
    case GuardWord::refused:
      pod->answered = true;
      pod->start_error =
          Error{Errc::failed, message.texts.empty() ? "it could not be started" : message.texts.front()};
      forget(pod);
      break;
    case GuardWord::ended:
      on_ended(pod, exit_text(static_cast<int>(message.number)), static_cast<std::uint64_t>(message.second));
      break;
    case GuardWord::start:
    case GuardWord::stop:
      break;
  }
}

void LocalOwner::on_ended(PodPtr pod, const std::string& how, std::uint64_t dropped) {
  pod->ended = how;
  if (dropped > 0)
    spdlog::warn("{}: {} bytes of its output could not be kept", shown(pod->record.name), dropped);
  const bool news = pod->settled && !pod->stopping && !shutting_down_;
  forget(pod);
  if (pod->check) pod->check->cancel();
  if (!news || !on_exit_) return;
  PodExit exit;
  exit.name = pod->record.name;
  exit.uid = pod->record.uid;
  exit.reason = with_output("the pod " + how, dir_->log_stem(pod->record.name));
  on_exit_(exit);
}

// Nothing of the pod is left: its address, files and place in the table go.
void LocalOwner::forget(const PodPtr& pod) {
  if (pod->gone) return;
  pod->gone = true;
  if (pod->has_address) addresses_.give_back(pod->record.endpoint);
  dir_->remove(pod->record.name);
  by_id_.erase(pod->id);
  pods_.erase({pod->record.name.key, pod->record.name.generation});
  pod->changed.notify();
}

// The pods' first processes died with it (PR_SET_PDEATHSIG); what they had started is found by its mark.
Awaitable<void> LocalOwner::guard_died() {
  guard_.reset();
  std::vector<PodPtr> lost;
  MarkedPods marked;
  for (const auto& [id, pod] : by_id_) {
    lost.push_back(pod);
    marked.emplace(pod->record.uid, pod->record.leader.start_time);
  }
  spdlog::error("the guard process of the local runtime has died; its {} pods are lost", lost.size());
  kill_marked(marked);
  for (const PodPtr& pod : lost) {
    if (!pod->gone) on_ended(pod, "was lost with the guard process", 0);
  }
  if (SteadyClock::now() - guard_since_ > kGuardLived) guard_backoff_.reset();
  std::minstd_rand random{std::random_device{}()};
  while (!guard_ && !shutting_down_) {
    if (guard_backoff_.failures() > 0) {
      Timer timer(executor_, guard_backoff_.next(random));
      co_await timer.async_wait(kTuple);
      if (shutting_down_) co_return;
    } else {
      guard_backoff_.next(random);
    }
    start_guard();
  }
}

Awaitable<Result<std::vector<Pod>>> LocalOwner::list() {
  std::vector<Pod> pods;
  for (const auto& [name, pod] : pods_) pods.push_back(pod_from(pod->record));
  co_return pods;
}

Awaitable<Result<LogChunk>> LocalOwner::logs(LogRequest request) {
  if (request.name.generation == 0) request.name.generation = dir_->latest(request.name.key);
  const bool runs = find(request.name) != nullptr;
  co_return read_pod_log(*dir_, request, runs);
}

Awaitable<void> LocalOwner::shut_down() {
  shutting_down_ = true;
  std::vector<PodPtr> all;
  for (const auto& [name, pod] : pods_) all.push_back(pod);
  for (const PodPtr& pod : all) {
    pod->stopping = true;
    if (pod->check) pod->check->cancel();
    if (!pod->asked_guard || !guard_) continue;
    GuardMessage message;
    message.word = GuardWord::stop;
    message.id = pod->id;
    message.number = std::min(pod->stop_grace, kMostLastGrace).count();
    guard_->send(message);
  }
  for (const PodPtr& pod : all) {
    while (!pod->gone && guard_) co_await pod->changed.wait();
  }
  co_await tasks_.all_done();
  if (!guard_) co_return;
  const std::shared_ptr<GuardLink> guard = std::move(guard_);
  guard->close();
  if (!co_await guard->exited(kGuardLastWait))
    spdlog::error("the guard process {} does not end", guard->pid());
}

Result<LogChunk> read_pod_log(const StateDir& dir, const LogRequest& request, bool runs) {
  constexpr std::uint64_t kTailBytes = 64 * 1024;
  constexpr std::size_t kChunkBytes = 64 * 1024;
  const std::string stem = dir.log_stem(request.name);
  const std::uint64_t from = request.tail ? log_tail_offset(stem, kTailBytes) : request.offset;
  const Result<LogText> text = read_log(stem, from, kChunkBytes);
  if (!text && !runs)
    return Error{Errc::not_found, fmt::format("no output of {} is kept: it has not run here, or long ago",
                                              request.name.key.text())};
  LogChunk chunk;
  chunk.next = from;
  if (text) {
    chunk.text = text->text;
    chunk.next = text->next;
  }
  chunk.ended = !runs && (!text || text->at_end);
  return chunk;
}

}  // namespace alcove
