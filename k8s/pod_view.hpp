// PodView: what matters of a Pod object: whose it is, whether it can take requests, how it ended, and what
// keeps it from getting ready, in words. The object itself is large and is not kept. Called by:
// kubernetes_runtime. Pure, any thread. Source: the Kubernetes API reference, PodStatus.
#pragma once

#include "k8s/object.hpp"
#include "lifecycle/runtime.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace alcove::k8s {

struct PodView {
  Pod pod;  // as the Runtime interface shows it; ready: the condition is true and there is an address
  std::string object;  // its name in the API
  std::string node;
  bool scheduled = false;
  bool running = false;   // the app's container has been started
  bool deleting = false;  // somebody has asked for its end
  bool ended = false;     // the app's container runs no more and will not be started again
  std::string end;        // how it ended: "exited with code 3", "was killed for using more memory than ..."
  // What it waits for: "0/3 nodes are available: ..."; empty: nothing unusual.
  std::string trouble;
  bool hopeless = false;         // waiting longer would not help
  bool has_log = false;          // there is output to be read
  bool log_of_previous = false;  // and what matters is that of the run before
};

// Nothing if its labels do not say whose it is.
std::optional<PodView> view_of(const Object& pod, std::string_view instance);

// "exited with code 3", "was killed by SIGKILL": how a container ended, by its exit code.
std::string end_text(std::int64_t exit_code);

}  // namespace alcove::k8s
