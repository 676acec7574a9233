// Informer: keeps somebody in step with all objects of one kind: a list, then a watch that goes on from it,
// for ever. Never asks twice for what has not changed. Called by: kubernetes_runtime (run, stop). Calls:
// api_client, and its sink with what it learns. Thread: the executor's. Owns: the watch. Fails: never by
// itself: what goes wrong is tried again with a growing, jittered pause.
//
// A watch that ends, breaks off or is silent too long is resumed from the last resource version that was
// seen, in an event or a bookmark, so that nothing is missed and nothing is listed again. Only when that
// version is too old (410 Gone) everything is listed anew, and the sink is told the whole, from which it
// finds out what was deleted meanwhile.
#pragma once

#include "base/backoff.hpp"
#include "k8s/api_client.hpp"
#include "k8s/signal.hpp"

#include <memory>
#include <string>
#include <vector>

namespace alcove::k8s {

class InformerSink {
 public:
  virtual ~InformerSink() = default;
  virtual void on_list(ObjectList all) = 0;             // at its version these exist and no others
  virtual void on_change(const WatchEvent& event) = 0;  // never a bookmark
};

class Informer {
 public:
  struct Limits {
    std::uint32_t page = 500;
    Millis watch_least{300'000};  // a watch is ended by the server after this to twice this
    Millis retry_first{200};
    Millis retry_most{10'000};
  };

  Informer(Executor executor, ApiClient& api, std::string collection, Selection selection, InformerSink& sink,
           std::shared_ptr<ApiMetrics> metrics, Limits limits);

  Awaitable<void> run();  // until stop()
  void stop();
  bool in_step() const { return in_step_; }  // the sink has heard of everything once
  // False: it is not by then.
  Awaitable<bool> wait_in_step(SteadyTime deadline);
  // What it could not do, for people; empty: it is in step and connected.
  const std::string& trouble() const { return trouble_; }

 private:
  Awaitable<bool> list_all();
  Awaitable<void> follow();
  Awaitable<void> rest(const ApiError& error);
  void set_watching(bool watching);

  ApiClient& api_;
  std::string collection_;
  Selection selection_;
  InformerSink& sink_;
  std::shared_ptr<ApiMetrics> metrics_;
  Limits limits_;
  Signal changed_;
  Pauses pauses_;
  Backoff backoff_;
  std::string version_;  // empty: everything has to be listed
  std::shared_ptr<Watch> watch_;
  std::string trouble_;
  bool in_step_ = false;
  bool watching_ = false;
  bool stopping_ = false;
};

}  // namespace alcove::k8s
