// Runtime: what runs pods. Makers: local (processes), static (endpoints that exist), kubernetes (a cluster).
// Called by: provisioner (start, stop, list, on_exit), reaper (stop), api through alcove/ (logs).
// Thread: the control thread's io_context.
// A pod is named by (key, generation): starting the same again adopts what is there. Its UID is never used
// again. Fails with: Errc::failed (the text is the reason that people see), unavailable, cancelled,
// not_found.
#pragma once

#include "base/net.hpp"
#include "base/result.hpp"
#include "config/settings.hpp"
#include "store/session.hpp"

#include <functional>
#include <string>
#include <vector>

namespace alcove {

struct PodName {
  SessionKey key;
  Generation generation = 0;

  friend bool operator==(const PodName&, const PodName&) = default;
};

// "pod demo/ada generation 3", for people.
inline std::string shown(const PodName& name) {
  return "pod " + name.key.text() + " generation " + std::to_string(name.generation);
}

struct PodSpec {
  PodName name;
  std::string user;
  AppSettings app;  // a copy: a reload must not change a start that is under way
};

struct Pod {
  PodName name;
  std::string app;
  std::string user;
  std::string uid;
  Endpoint endpoint;
  bool ready = false;
};

struct PodExit {
  PodName name;
  std::string uid;
  std::string reason;  // "exited with code 3", with the last log lines where they help
  // Somebody has asked for its end, and it takes its time. That may have been a reaper: then the record says
  // so, and it is no news.
  bool still_there = false;
};

// Not a bool: a Result<bool> that is copied from another turns its error into a value (Boost 1.81).
enum class Presence : std::uint8_t { there, gone };

struct LogRequest {
  PodName name;              // generation 0: the latest
  std::uint64_t offset = 0;  // bytes from the beginning of the log
  bool tail = false;         // start about the last 64 KiB instead of at offset
};
struct LogChunk {
  std::string text;
  std::uint64_t next = 0;  // offset to go on from
  bool ended = false;      // the pod is gone and this was the rest
};

class Runtime {
 public:
  virtual ~Runtime() = default;

  // Starts the pod and returns when it is ready to take a request. The start deadline is in the spec's app;
  // what it started is removed again when it fails. stop() of the same name makes it return Errc::cancelled.
  virtual Awaitable<Result<Pod>> start(PodSpec spec) = 0;
  // Polite end, after `grace` the hard one; returns when nothing of the pod is left. Fine for one that is
  // gone already.
  virtual Awaitable<Result<void>> stop(PodName name, Millis grace) = 0;
  // Every pod that is there, ready or not.
  virtual Awaitable<Result<std::vector<Pod>>> list() = 0;
  // Called for every pod that was ready and ended without stop().
  virtual void on_exit(std::function<void(const PodExit&)> handler) = 0;
  virtual Awaitable<Result<LogChunk>> logs(LogRequest request) = 0;
  // Reserves what a pod of the store holds in this runtime (static: its endpoint), after a restart. Most need
  // nothing.
  virtual void adopted(const Session&) {}
  // The store says that this pod and all older ones of the session are gone (a reaper elsewhere stopped
  // them): lets go of what is held for them here. Most need nothing.
  virtual void released(const PodName&) {}
  // False: the pod of this session is run elsewhere (another machine, another state directory), so that its
  // absence from list() says nothing and stop() here reaches nothing. Asked for records that have a pod_uid.
  virtual bool sees(const Session&) const { return true; }
  // Asked before a record is called lost: list() may not know yet what others have just made (a watch lags).
  // Most know all there is.
  virtual Awaitable<Result<Presence>> look_for(PodName, std::string /*uid*/) { co_return Presence::gone; }
  // This process is ending: what only waits for others (a stop that the cluster carries out) comes back with
  // Errc::cancelled from now on. Most wait for nobody.
  virtual void hurry() {}
  // Ends everything that would not outlive this process; returns when nothing is left behind.
  virtual Awaitable<void> shut_down() = 0;
};

}  // namespace alcove
