#include "k8s/pod_table.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace alcove::k8s {
namespace {

std::uint64_t number_of(const std::string& version) {
  std::uint64_t out = 0;
  std::from_chars(version.data(), version.data() + version.size(), out);
  return out;
}

}  // namespace

PodTable::PodTable(Executor executor, std::string instance, std::function<void(const SeenPodPtr&)> on_change)
    : executor_(executor), instance_(std::move(instance)), on_change_(std::move(on_change)) {}

// A pod that was made while the list was under way is not in it, and is there all the same: its version is
// newer. (Versions are numbers that grow: in practice always, by the API's word since Kubernetes 1.35.)
void PodTable::on_list(ObjectList all) {
  const std::uint64_t listed = number_of(all.version);
  std::unordered_set<std::string> there;
  for (const Object& object : all.items) there.insert(object.uid());
  std::vector<SeenPodPtr> missing;
  for (const auto& [uid, pod] : pods_)
    if (!there.contains(uid) && (pod->watched || pod->version <= listed)) missing.push_back(pod);
  for (const SeenPodPtr& pod : missing) forget(pod);
  for (const Object& object : all.items)
    if (const SeenPodPtr pod = update(object)) pod->watched = true;
}

void PodTable::on_change(const WatchEvent& event) {
  // The last state of one that was deleted may say how it ended.
  const SeenPodPtr pod = update(event.object);
  if (!pod) return;
  pod->watched = true;
  if (event.change == Change::deleted) forget(pod);
}

SeenPodPtr PodTable::update(const Object& object) {
  std::optional<PodView> view = view_of(object, instance_);
  if (!view || view->pod.uid.empty() || gone_.contains(view->pod.uid)) return nullptr;
  const auto [found, fresh] = pods_.try_emplace(view->pod.uid);
  if (fresh) {
    found->second = std::make_shared<SeenPod>(executor_);
    by_key_[view->pod.name.key].push_back(view->pod.uid);
  }
  SeenPodPtr pod = found->second;
  pod->view = std::move(*view);
  pod->version = number_of(object.version());
  on_change_(pod);
  pod->changed.notify();
  return pod;
}

SeenPodPtr PodTable::see(const Object& object) {
  const auto found = pods_.find(object.uid());
  return found != pods_.end() ? found->second : update(object);
}

void PodTable::forget(const SeenPodPtr& pod) {
  if (pod->gone) return;
  pod->gone = true;
  const std::string uid = pod->view.pod.uid;
  const SessionKey key = pod->view.pod.name.key;
  pods_.erase(uid);
  std::vector<std::string>& uids = by_key_[key];
  std::erase(uids, uid);
  if (uids.empty()) by_key_.erase(key);
  if (gone_.insert(uid).second) gone_in_order_.push_back(uid);
  if (gone_in_order_.size() > kGoneKept) {
    gone_.erase(gone_in_order_.front());
    gone_in_order_.pop_front();
  }
  on_change_(pod);
  pod->changed.notify();
}

std::vector<SeenPodPtr> PodTable::of(const PodName& name) const {
  std::vector<SeenPodPtr> out;
  const auto found = by_key_.find(name.key);
  if (found == by_key_.end()) return out;
  for (const std::string& uid : found->second)
    if (const SeenPodPtr& pod = pods_.at(uid); pod->view.pod.name == name) out.push_back(pod);
  return out;
}

SeenPodPtr PodTable::latest(const SessionKey& key) const {
  SeenPodPtr best;
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return best;
  for (const std::string& uid : found->second) {
    const SeenPodPtr& pod = pods_.at(uid);
    if (!best || pod->view.pod.name.generation > best->view.pod.name.generation) best = pod;
  }
  return best;
}

std::vector<SeenPodPtr> PodTable::all() const {
  std::vector<SeenPodPtr> out;
  out.reserve(pods_.size());
  for (const auto& [uid, pod] : pods_) out.push_back(pod);
  return out;
}

}  // namespace alcove::k8s
