// Takeover: how a gateway process leaves its listening sockets to the one that comes after it, so that no
// connection is refused between the two (`takeover` in the configuration, `--take-over`). The order:
//   1. the successor connects to the predecessor's Unix socket and is sent every listening socket;
//   2. it makes itself ready, while the predecessor goes on as if nothing had happened;
//   3. it accepts, and says so; only now the predecessor accepts no more and finishes what is under way.
// Either may be killed at any moment: before 3 the predecessor goes on, after 1 the successor can go on
// alone. Called by: app. Thread: the main thread's. Sources: unix(7) SCM_RIGHTS and SO_PEERCRED, seqpacket
// sockets.
#pragma once

#include "base/fd.hpp"
#include "base/net.hpp"
#include "base/result.hpp"

#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace alcove {

// What a process listens on.
struct Inheritance {
  std::vector<ListeningSocket> gateway;
  std::vector<ListeningSocket> admin;  // one, or none
};

// The predecessor's side. Only processes of the same user, or of root, are sent anything.
class Predecessor {
 public:
  using Copy = std::function<Result<Inheritance>()>;  // the sockets once more; they become the successor's
  using Taken = std::function<void()>;                // it accepts now

  Predecessor(Executor executor, Copy copy, Taken taken);
  ~Predecessor();
  Predecessor(const Predecessor&) = delete;
  Predecessor& operator=(const Predecessor&) = delete;

  // Listens beside `path`, where another may still listen. Errc::unavailable says why not.
  Result<void> open(const std::string& path);
  // Takes the place at `path` and serves successors, one at a time, until one has taken over, or close().
  Result<void> publish();
  void close();

 private:
  using Descriptor = asio::posix::basic_stream_descriptor<Executor>;
  Awaitable<void> serving();
  Awaitable<bool> serve(Descriptor& successor);

  Copy copy_;
  Taken taken_;
  Descriptor listener_;
  std::unique_ptr<Descriptor> successor_;
  std::string path_;
  std::string beside_;  // where it listens until it is published
  bool published_ = false;
};

// The successor's side.
class Successor {
 public:
  // Errc::not_found: nobody to take over from. Waits for a predecessor that is busy, up to 10 s.
  static Result<Successor> connect(const std::string& path);

  Inheritance inheritance;
  bool predecessor_gone() const;
  void say_accepting();

 private:
  Fd channel_;
};

}  // namespace alcove
