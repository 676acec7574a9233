// PodRemoval: ends pods. Asks the API for the end of one very pod, by its UID, waits until it is gone, and
// removes it by force where its node does not answer. Called by: kubernetes_runtime. Thread: the executor's.
// Owns: nothing; client and table outlive it, and it outlives its coroutines.
// Fails with: timeout (it does not end), cancelled after hurry(), and what the API says.
#pragma once

#include "k8s/api_client.hpp"
#include "k8s/pod_table.hpp"

#include <string>

namespace alcove::k8s {

class PodRemoval {
 public:
  // `pods`: the path of their collection. `force_after`: a pod that is still there so long after its grace is
  // removed by force; 0: never.
  PodRemoval(ApiClient& api, PodTable& table, std::string pods, Millis force_after);

  // Until the API has agreed, or there is no such pod any more.
  Awaitable<Result<void>> ask(SeenPodPtr pod, Millis grace);
  // Until it is gone.
  Awaitable<Result<void>> end(SeenPodPtr pod, Millis grace);
  void hurry();  // nobody waits for an end any more; the cluster goes on with it

 private:
  Awaitable<Result<void>> ask(SeenPodPtr pod, RemoveOptions what);

  ApiClient& api_;
  PodTable& table_;
  std::string pods_;
  Millis force_after_;
  bool hurrying_ = false;
};

}  // namespace alcove::k8s
