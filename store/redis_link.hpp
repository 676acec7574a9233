// RedisLink: one connection to the server that comes back by itself. Calls are pipelined; one that gets no
// answer in time takes the whole connection down, since the answers after it could no longer be told apart.
// Called by: redis_store, which has two: one for commands, one for pushes. Thread: its io_context's.
// Owns: the connection, and its coroutines through shared_ptr: they end after close(), when the loop runs.
// Calls made while there is no connection wait for one, up to their deadline.
// Fails with: Errc::unavailable (never sent), timeout (sent, no answer: it may have happened), cancelled
// (closed).
#pragma once

#include "base/event.hpp"
#include "base/net.hpp"
#include "base/result.hpp"
#include "config/settings.hpp"
#include "store/redis_reader.hpp"
#include "store/redis_transport.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace alcove {

class RedisLink : public std::enable_shared_from_this<RedisLink> {
 public:
  // None is called after close().
  struct Hooks {
    std::vector<RedisArgv> greeting;  // sent after AUTH and SELECT; an error answer breaks the link
    std::function<void()> on_up;
    std::function<void(const std::string&)>
        on_trouble;  // could not connect, or was broken; tries again by itself
    std::function<void(const RedisReply&)>
        on_push;  // if set, every reply after the greeting is a push: no calls
  };
  // A call that can be repeated is sent again on the next connection if this one breaks before the answer.
  enum class Repeat : std::uint8_t { no, yes };
  struct Call;
  using CallPtr = std::shared_ptr<Call>;

  static std::shared_ptr<RedisLink> open(Executor executor, const RedisStoreSettings& settings,
                                         TlsContext tls, Hooks hooks);

  CallPtr start(const RedisArgv& argv, Repeat repeat);
  Awaitable<Result<RedisReply>> finish(CallPtr call);

  bool up() const;
  void close();

  RedisLink(Executor executor, const RedisStoreSettings& settings, TlsContext tls, Hooks hooks);

 private:
  struct Wire;  // one connection
  using WirePtr = std::shared_ptr<Wire>;

  static Awaitable<void> run(std::shared_ptr<RedisLink> self);
  Awaitable<Result<void>> use(WirePtr wire);  // connects, greets, reads until it breaks
  Awaitable<Result<void>> greet(WirePtr wire);
  Awaitable<Result<void>> read_more(WirePtr wire);
  static Awaitable<void> write(std::shared_ptr<RedisLink> self, WirePtr wire);
  static Awaitable<void> keep_alive(std::shared_ptr<RedisLink> self, WirePtr wire);
  Result<void> take_replies(Wire& wire);
  void guard(const WirePtr& wire);
  void send(const CallPtr& call);
  void settle_in_flight();
  std::string told(const std::string& trouble) const;

  Executor executor_;
  RedisStoreSettings settings_;
  TlsContext tls_;
  Hooks hooks_;
  WirePtr wire_;
  std::deque<CallPtr> waiting_;    // not sent
  std::deque<CallPtr> in_flight_;  // sent, in the order of the answers; null: a PING of our own
  Timer pause_;
  std::string trouble_ = "not connected yet";
  bool closed_ = false;
};

}  // namespace alcove
