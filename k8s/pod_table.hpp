// PodTable: the pods of this instance as far as they are known here: what the informer tells, and what the
// API's own answers told sooner. Called by: informer (as its sink), kubernetes_runtime. Thread: the
// executor's. Owns: a SeenPod for each pod until it is gone; whoever waits on one keeps it longer.
//
// A UID is never used again. So an answer about a UID that is known to be gone is an old one, and changes
// nothing; an answer about one that is known already is not newer than what the watch has told or will tell.
#pragma once

#include "k8s/informer.hpp"
#include "k8s/pod_view.hpp"
#include "k8s/signal.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace alcove::k8s {

struct SeenPod {
  explicit SeenPod(Executor executor) : changed(executor) {}

  PodView view;
  std::uint64_t version = 0;  // of the object when it was seen last
  bool watched = false;       // the informer has told of it
  bool gone = false;          // it is not in the API any more
  bool ours = false;          // we have asked for its end, or will: that is no news to anybody
  bool removed = false;       // the API has agreed to its end
  bool unwanted = false;      // and nobody waits for it: not listed any more once it is removed
  bool was_ready = false;
  bool told = false;  // its end has been told
  Signal changed;
};
using SeenPodPtr = std::shared_ptr<SeenPod>;

class PodTable final : public InformerSink {
 public:
  static constexpr std::size_t kGoneKept = 20'000;  // UIDs that are remembered

  // `on_change` is called after each change of a pod, and once when it is gone.
  PodTable(Executor executor, std::string instance, std::function<void(const SeenPodPtr&)> on_change);

  void on_list(ObjectList all) override;
  void on_change(const WatchEvent& event) override;
  // From an answer of the API. Null: it is no pod of ours, or one that is gone by now.
  SeenPodPtr see(const Object& pod);
  // The API says so.
  void forget(const SeenPodPtr& pod);

  std::vector<SeenPodPtr> of(const PodName& name) const;  // mostly one
  SeenPodPtr latest(const SessionKey& key) const;         // of its highest generation
  std::vector<SeenPodPtr> all() const;
  std::size_t size() const { return pods_.size(); }

 private:
  SeenPodPtr update(const Object& object);

  Executor executor_;
  std::string instance_;
  std::function<void(const SeenPodPtr&)> on_change_;
  std::unordered_map<std::string, SeenPodPtr> pods_;  // by UID
  std::unordered_map<SessionKey, std::vector<std::string>> by_key_;
  std::unordered_set<std::string> gone_;
  std::deque<std::string> gone_in_order_;
};

}  // namespace alcove::k8s
