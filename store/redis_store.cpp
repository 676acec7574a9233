#include "store/redis_store.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "store/redis_codec.hpp"
#include "store/redis_link.hpp"
#include "store/redis_scripts.hpp"
#include "store/transitions.hpp"

#include <algorithm>
#include <set>

namespace alcove {
namespace {

namespace codec = redis_codec;
using Repeat = RedisLink::Repeat;

constexpr std::size_t kMarksPerCall = 500;  // a script holds up the whole server while it runs
constexpr std::size_t kKeysPerRenew = 500;
constexpr std::uint32_t kMostDrainsPerReply = 5'000;
constexpr std::uint32_t kMostPerPage = 1'000;
constexpr std::size_t kMostTroubles = 32;

class RedisStore final : public Store {
 public:
  RedisStore(const RedisStoreSettings& settings, asio::io_context& io);
  ~RedisStore() override { close(); }
  RedisStore(const RedisStore&) = delete;
  RedisStore& operator=(const RedisStore&) = delete;

  Awaitable<Result<Session>> acquire(AcquireRequest request) override;
  Awaitable<Result<Session>> lookup(SessionKey key) override;
  Awaitable<Result<QueuePlace>> place(SessionKey key) override;
  Awaitable<Result<BeatReply>> beat(Beat beat) override;
  Awaitable<Result<void>> leave(std::string gateway) override;
  Awaitable<Result<std::optional<Session>>> claim(ClaimRequest request) override;
  Awaitable<Result<std::vector<SessionKey>>> renew(std::string provisioner, Millis lease,
                                                   std::vector<SessionKey> keys) override;
  Awaitable<Result<Session>> publish_ready(SessionKey key, Generation generation, Endpoint endpoint,
                                           std::string pod_uid) override;
  Awaitable<Result<Session>> publish_failed(SessionKey key, Generation generation, std::string reason,
                                            Millis retry_in) override;
  Awaitable<Result<Session>> lost(SessionKey key, Generation generation, std::string pod_uid,
                                  std::string reason) override;
  Awaitable<Result<Session>> adopt(Session session) override;
  Awaitable<Result<std::vector<Due>>> due(std::uint32_t limit) override;
  Awaitable<Result<Session>> drain(SessionKey key, Generation generation, EndCause cause) override;
  Awaitable<Result<Session>> begin_stop(SessionKey key, Generation generation) override;
  Awaitable<Result<Session>> gone(SessionKey key, Generation generation) override;
  Awaitable<Result<Page>> list(std::string cursor, std::uint32_t limit) override;
  Awaitable<Result<Session>> pin(SessionKey key, bool pinned) override;
  Awaitable<Result<Session>> busy(SessionKey key, Millis busy_for) override;
  void subscribe(Subscriber* subscriber) override { subscribers_.push_back(subscriber); }
  void unsubscribe(Subscriber* subscriber) override { std::erase(subscribers_, subscriber); }
  bool connected() const override { return commands_->up() && pushes_->up(); }
  void close() override;

 private:
  // A script under way: what it needs to be run again if the server has forgotten it.
  struct Run {
    const RedisScript* script;
    RedisArgv argv;  // EVALSHA sha 1 prefix args...
    Repeat repeat;
    RedisLink::CallPtr call;
  };
  Run start(std::string_view script, RedisArgv args, Repeat repeat);
  static Awaitable<Result<RedisReply>> finish(std::shared_ptr<RedisLink> link, Run run);
  Awaitable<Result<RedisReply>> ask(std::string_view script, RedisArgv args, Repeat repeat);
  Awaitable<Result<Session>> ask_session(std::string_view script, RedisArgv args, Repeat repeat);

  RedisLink::Hooks command_hooks();
  RedisLink::Hooks push_hooks();
  void on_up();
  void on_trouble(const std::string& trouble);
  void on_push(const RedisReply& reply);
  template <class Tell>
  void tell_subscribers(Tell tell);

  std::string prefix_;  // of every key and of the channel, with the hash tag
  std::string where_;
  std::set<std::string> troubles_;  // logged since it was connected: each once, however long it lasts
  std::vector<Subscriber*> subscribers_;
  std::shared_ptr<RedisLink> commands_;
  std::shared_ptr<RedisLink> pushes_;
};

RedisStore::RedisStore(const RedisStoreSettings& settings, asio::io_context& io)
    : prefix_("{" + settings.prefix + "}:"), where_(settings.host + ":" + std::to_string(settings.port)) {
  TlsContext tls;
  if (settings.tls) tls = make_redis_tls(settings.ca_file);
  const Executor executor = io.get_executor();
  commands_ = RedisLink::open(executor, settings, tls, command_hooks());
  pushes_ = RedisLink::open(executor, settings, tls, push_hooks());
}

RedisLink::Hooks RedisStore::command_hooks() {
  RedisLink::Hooks hooks;
  for (const RedisScript& script : redis_scripts()) hooks.greeting.push_back({"SCRIPT", "LOAD", script.text});
  hooks.on_up = [this] {
    on_up();
    // The server may have been emptied meanwhile, and the link of the pushes may need longer to come back:
    // nobody may act on an answer of the new connection by what was known before.
    tell_subscribers([](Subscriber& subscriber) { subscriber.on_gap(); });
  };
  hooks.on_trouble = [this](const std::string& trouble) { on_trouble(trouble); };
  return hooks;
}

RedisLink::Hooks RedisStore::push_hooks() {
  RedisLink::Hooks hooks;
  // A server that still loads its data takes a SUBSCRIBE, but is of no use yet: it refuses the PING.
  hooks.greeting = {{"PING"}, {"SUBSCRIBE", prefix_ + "transitions"}};
  hooks.on_up = [this] {
    on_up();
    // What was pushed before this subscription never came, at the first time too: calls may have been made
    // already.
    tell_subscribers([](Subscriber& subscriber) { subscriber.on_gap(); });
  };
  hooks.on_trouble = [this](const std::string& trouble) { on_trouble(trouble); };
  hooks.on_push = [this](const RedisReply& reply) { on_push(reply); };
  return hooks;
}

void RedisStore::on_up() {
  if (!connected()) return;
  troubles_.clear();
  spdlog::info("store: connected to redis at {}", where_);
}

void RedisStore::on_trouble(const std::string& trouble) {
  if (troubles_.size() >= kMostTroubles || !troubles_.insert(trouble).second) return;
  spdlog::warn("store: {}; trying again until it works", printable(trouble, 400));
}

void RedisStore::on_push(const RedisReply& reply) {
  const codec::Push push = codec::decode_push(reply);
  if (const auto* transition = std::get_if<Transition>(&push)) {
    tell_subscribers([transition](Subscriber& subscriber) { subscriber.on_transition(*transition); });
  } else if (const auto* error = std::get_if<Error>(&push)) {
    spdlog::warn("store: a push is taken for a lost one: {}", printable(error->text, 400));
    tell_subscribers([](Subscriber& subscriber) { subscriber.on_gap(); });
  }
}

// A subscriber may unsubscribe itself or another from inside its call, and may close the store.
template <class Tell>
void RedisStore::tell_subscribers(Tell tell) {
  const std::vector<Subscriber*> now = subscribers_;
  for (Subscriber* subscriber : now)
    if (std::find(subscribers_.begin(), subscribers_.end(), subscriber) != subscribers_.end())
      tell(*subscriber);
}

RedisStore::Run RedisStore::start(std::string_view script, RedisArgv args, Repeat repeat) {
  Run run{find_redis_script(script), {"EVALSHA", "", "1", prefix_}, repeat, nullptr};
  if (run.script == nullptr) return run;
  run.argv[1] = run.script->sha;
  std::move(args.begin(), args.end(), std::back_inserter(run.argv));
  run.call = commands_->start(run.argv, repeat);
  return run;
}

Awaitable<Result<RedisReply>> RedisStore::finish(std::shared_ptr<RedisLink> link, Run run) {
  if (run.script == nullptr) co_return Error{Errc::internal, "the store lacks a script"};
  Result<RedisReply> reply = co_await link->finish(run.call);
  if (!reply || !codec::is_noscript(reply.value())) co_return reply;
  // EVAL with the text both loads it again and runs it.
  run.argv[0] = "EVAL";
  run.argv[1] = run.script->text;
  RedisLink::CallPtr again = link->start(run.argv, run.repeat);
  co_return co_await link->finish(std::move(again));
}

Awaitable<Result<RedisReply>> RedisStore::ask(std::string_view script, RedisArgv args, Repeat repeat) {
  Run run = start(script, std::move(args), repeat);
  co_return co_await finish(commands_, std::move(run));
}

Awaitable<Result<Session>> RedisStore::ask_session(std::string_view script, RedisArgv args, Repeat repeat) {
  const Result<RedisReply> reply = co_await ask(script, std::move(args), repeat);
  if (!reply) co_return reply.error();
  co_return codec::decode_session(reply.value());
}

Awaitable<Result<Session>> RedisStore::acquire(AcquireRequest request) {
  RedisArgv args = codec::acquire_args(request);
  co_return co_await ask_session("acquire", std::move(args), Repeat::yes);
}

Awaitable<Result<Session>> RedisStore::lookup(SessionKey key) {
  const RedisArgv argv{"HGETALL", prefix_ + "s:" + key.text()};
  RedisLink::CallPtr call = commands_->start(argv, Repeat::yes);
  const Result<RedisReply> reply = co_await commands_->finish(std::move(call));
  if (!reply) co_return reply.error();
  co_return codec::decode_record(key, reply.value());
}

Awaitable<Result<QueuePlace>> RedisStore::place(SessionKey key) {
  RedisArgv args{key.text()};
  const Result<RedisReply> reply = co_await ask("place", std::move(args), Repeat::yes);
  if (!reply) co_return reply.error();
  co_return codec::decode_place(reply.value());
}

Awaitable<Result<BeatReply>> RedisStore::beat(Beat beat) {
  std::vector<Run> marks;
  for (std::size_t from = 0; from < beat.marks.size(); from += kMarksPerCall) {
    const std::size_t to = std::min(beat.marks.size(), from + kMarksPerCall);
    marks.push_back(start("marks", codec::marks_args(beat.marks, from, to), Repeat::yes));
  }
  // `seen` may count only when every mark has: begin_stop concludes from it that all activity is known.
  Result<void> marked;
  for (Run& run : marks) {
    const Result<RedisReply> reply = co_await finish(commands_, std::move(run));
    const Result<void> ok = reply ? codec::decode_ok(reply.value()) : Result<void>(reply.error());
    if (marked && !ok) marked = ok;
  }
  if (!marked) co_return marked.error();
  RedisArgv args = codec::beat_args(beat, kMostDrainsPerReply);
  const Result<RedisReply> reply = co_await ask("beat", std::move(args), Repeat::yes);
  if (!reply) co_return reply.error();
  co_return codec::decode_beat(reply.value());
}

Awaitable<Result<void>> RedisStore::leave(std::string gateway) {
  RedisArgv args{gateway};
  const Result<RedisReply> reply = co_await ask("leave", std::move(args), Repeat::yes);
  if (!reply) co_return reply.error();
  co_return codec::decode_ok(reply.value());
}

Awaitable<Result<std::optional<Session>>> RedisStore::claim(ClaimRequest request) {
  RedisArgv args = codec::claim_args(request);
  const Result<RedisReply> reply = co_await ask("claim", std::move(args), Repeat::no);
  if (!reply) co_return reply.error();
  co_return codec::decode_claim(reply.value());
}

Awaitable<Result<std::vector<SessionKey>>> RedisStore::renew(std::string provisioner, Millis lease,
                                                             std::vector<SessionKey> keys) {
  std::vector<SessionKey> not_owned;
  for (std::size_t from = 0; from < keys.size(); from += kKeysPerRenew) {
    const std::size_t to = std::min(keys.size(), from + kKeysPerRenew);
    const std::vector<SessionKey> part(keys.begin() + static_cast<std::ptrdiff_t>(from),
                                       keys.begin() + static_cast<std::ptrdiff_t>(to));
    RedisArgv args = codec::renew_args(provisioner, lease, part);
    const Result<RedisReply> reply = co_await ask("renew", std::move(args), Repeat::yes);
    if (!reply) co_return reply.error();
    const auto found = codec::decode_keys(reply.value());
    if (!found) co_return found.error();
    not_owned.insert(not_owned.end(), found.value().begin(), found.value().end());
  }
  co_return not_owned;
}

Awaitable<Result<Session>> RedisStore::publish_ready(SessionKey key, Generation generation, Endpoint endpoint,
                                                     std::string pod_uid) {
  const Result<void> checked = transitions::check_word("the pod's UID", pod_uid);
  if (!checked) co_return checked.error();
  RedisArgv args = codec::publish_ready_args(key, generation, endpoint, pod_uid);
  co_return co_await ask_session("publish_ready", std::move(args), Repeat::yes);
}

Awaitable<Result<Session>> RedisStore::publish_failed(SessionKey key, Generation generation,
                                                      std::string reason, Millis retry_in) {
  reason.resize(std::min(reason.size(), transitions::kMaxReasonBytes));
  RedisArgv args = codec::publish_failed_args(key, generation, reason, retry_in);
  co_return co_await ask_session("publish_failed", std::move(args), Repeat::no);
}

Awaitable<Result<Session>> RedisStore::lost(SessionKey key, Generation generation, std::string pod_uid,
                                            std::string reason) {
  reason.resize(std::min(reason.size(), transitions::kMaxReasonBytes));
  RedisArgv args = codec::lost_args(key, generation, pod_uid, reason);
  co_return co_await ask_session("lost", std::move(args), Repeat::no);
}

Awaitable<Result<Session>> RedisStore::adopt(Session session) {
  const Result<void> checked = transitions::check_word("the pod's UID", session.pod_uid);
  if (!checked) co_return checked.error();
  RedisArgv args = codec::adopt_args(session);
  co_return co_await ask_session("adopt", std::move(args), Repeat::yes);
}

Awaitable<Result<std::vector<Due>>> RedisStore::due(std::uint32_t limit) {
  RedisArgv args{std::to_string(std::min(limit, kMostPerPage))};
  const Result<RedisReply> reply = co_await ask("due", std::move(args), Repeat::no);
  if (!reply) co_return reply.error();
  co_return codec::decode_due(reply.value());
}

Awaitable<Result<Session>> RedisStore::drain(SessionKey key, Generation generation, EndCause cause) {
  const Result<void> checked = transitions::check_drain_cause(cause);
  if (!checked) co_return checked.error();
  RedisArgv args = codec::drain_args(key, generation, cause);
  co_return co_await ask_session("drain", std::move(args), Repeat::no);
}

Awaitable<Result<Session>> RedisStore::begin_stop(SessionKey key, Generation generation) {
  RedisArgv args = codec::generation_args(key, generation);
  co_return co_await ask_session("begin_stop", std::move(args), Repeat::no);
}

Awaitable<Result<Session>> RedisStore::gone(SessionKey key, Generation generation) {
  RedisArgv args = codec::generation_args(key, generation);
  co_return co_await ask_session("gone", std::move(args), Repeat::no);
}

Awaitable<Result<Store::Page>> RedisStore::list(std::string cursor, std::uint32_t limit) {
  RedisArgv args{cursor, std::to_string(std::clamp(limit, 1U, kMostPerPage))};
  const Result<RedisReply> reply = co_await ask("list", std::move(args), Repeat::yes);
  if (!reply) co_return reply.error();
  co_return codec::decode_page(reply.value());
}

Awaitable<Result<Session>> RedisStore::pin(SessionKey key, bool pinned) {
  RedisArgv args{key.text(), pinned ? "1" : "0"};
  co_return co_await ask_session("pin", std::move(args), Repeat::yes);
}

Awaitable<Result<Session>> RedisStore::busy(SessionKey key, Millis busy_for) {
  RedisArgv args{key.text(), std::to_string(busy_for.count())};
  co_return co_await ask_session("busy", std::move(args), Repeat::yes);
}

void RedisStore::close() {
  commands_->close();
  pushes_->close();
}

}  // namespace

std::unique_ptr<Store> make_redis_store(const RedisStoreSettings& settings, asio::io_context& io) {
  return std::make_unique<RedisStore>(settings, io);
}

}  // namespace alcove
