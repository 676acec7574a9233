// Waits until a pod answers: it listens, or GET ready_path is answered below 500. Tries again and again with
// short growing pauses, since a process may listen a few milliseconds after its start. Called by: local and
// static runtime. Thread: one io_context. The coroutine keeps the object alive. Fails: timeout (the text says
// what the last try met), cancelled after cancel().
#pragma once

#include "base/endpoint.hpp"
#include "base/net.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace alcove {

class ReadyCheck : public std::enable_shared_from_this<ReadyCheck> {
 public:
  // What the kernel tells: its yes saves the connection that asks nothing, its no those that meet nobody. The
  // no is believed from the first question on and for half of the time at most, since connections may be
  // redirected to where it knows of no listener.
  struct Kernel {
    std::function<bool(const Endpoint&)> listens;  // none: it does not tell, a connection is the only way
    Millis no_is_believed{200};
  };

  ReadyCheck(Executor executor, Endpoint endpoint, std::string ready_path, Kernel kernel);
  ReadyCheck(Executor executor, Endpoint endpoint, std::string ready_path);

  // For a program that was executed this moment: an attempt at once would meet nobody.
  static constexpr Millis kJustStarted{2};

  // Until `begun` + `most`: the time that the start may take in all, which its reason names. `first`: the
  // pause before the first attempt.
  static Awaitable<Result<void>> run(std::shared_ptr<ReadyCheck> self, SteadyTime begun, Millis most,
                                     Millis first = Millis{0});
  void cancel();

 private:
  static Awaitable<void> watch(std::shared_ptr<ReadyCheck> self, std::uint64_t attempt, SteadyTime deadline);
  // Empty: ready, else what it met.
  std::optional<std::string> without_connection(SteadyTime believed_until) const;  // nothing: one is needed
  static Awaitable<std::string> by_connection(std::shared_ptr<ReadyCheck> self, SteadyTime deadline);
  Awaitable<std::string> attempt();
  Awaitable<std::string> ask();
  void abort_attempt();

  Executor executor_;
  Endpoint endpoint_;
  std::string path_;
  Kernel kernel_;
  Socket socket_;
  Timer pause_;
  Timer limit_;
  std::uint64_t attempts_ = 0;
  bool limited_ = false;  // the attempt took too long
  bool cancelled_ = false;
};

}  // namespace alcove
