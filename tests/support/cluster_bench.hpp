// A Kubernetes runtime on a real cluster, for tests: that of ALCOVE_TEST_KUBECONFIG, in the namespace
// ALCOVE_TEST_NAMESPACE, with the image ALCOVE_TEST_POD_IMAGE (tests/support/test_pod.cpp). Each bench is an
// instance of its own, so that no test sees another's pods; what is left at its end is asked to go. The node
// is this machine: its processes can be seen from here.
#pragma once

#include "base/log.hpp"
#include "k8s/kubernetes_runtime.hpp"
#include "k8s/pod_name.hpp"
#include "local/proc.hpp"
#include "tests/support/run_awaitable.hpp"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

namespace alcove::test {

inline std::string cluster_variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string{} : std::string(value);
}

inline bool has_cluster() {
  return !cluster_variable("ALCOVE_TEST_KUBECONFIG").empty();
}

struct ClusterBench {
  ClusterBench() {
    spdlog::set_level(spdlog::level::off);
    static int count = 0;
    settings.kubeconfig = cluster_variable("ALCOVE_TEST_KUBECONFIG");
    settings.pods_namespace = cluster_variable("ALCOVE_TEST_NAMESPACE");
    settings.instance = "test-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
    app.name = "demo";
    app.port = 18080;
    app.start_timeout = Millis{60'000};
    app.stop_grace = Millis{1'000};
    app.kubernetes.image = cluster_variable("ALCOVE_TEST_POD_IMAGE");
    app.kubernetes.pull = ImagePull::never;
    app.kubernetes.run_as_user = 65'532;
    runtime = k8s::make_kubernetes_runtime(settings, context.get_executor(), metrics);
  }
  ~ClusterBench() {
    if (!runtime) return;
    // What the API has agreed to remove goes by itself: no need to wait for it here.
    runtime->hurry();
    const auto left = run(context, runtime->list());
    if (left && *left)
      for (const Pod& pod : **left) run(context, runtime->stop(pod.name, Millis{1'000}));
    run(context, runtime->shut_down());
  }

  PodSpec spec(const std::string& user = "ada", Generation generation = 1) const {
    PodSpec s;
    s.name = {SessionKey("demo", session_name(user).value()), generation};
    s.user = user;
    s.app = app;
    return s;
  }
  Result<Pod> start(PodSpec s) { return run(context, runtime->start(std::move(s)), Millis{90'000}).value(); }
  Result<void> stop(const PodName& name, Millis grace = Millis{1'000}) {
    return run(context, runtime->stop(name, grace), Millis{60'000}).value();
  }
  std::vector<Pod> list() { return run(context, runtime->list()).value().value(); }
  std::string object_name(const PodName& name) const { return k8s::pod_name(settings.instance, name); }

  // Ends the pod's program from outside, as a crash would.
  bool kill_container(const PodName& name) const {
    const std::string mark = "HOSTNAME=" + object_name(name);
    for (const pid_t pid : all_pids()) {
      std::ifstream file("/proc/" + std::to_string(pid) + "/environ");
      std::stringstream environment;
      environment << file.rdbuf();
      std::string one;
      while (std::getline(environment, one, '\0'))
        if (one == mark) return ::kill(pid, SIGKILL) == 0;
    }
    return false;
  }

  asio::io_context context{1};
  KubernetesRuntimeSettings settings;
  AppSettings app;
  std::shared_ptr<k8s::ApiMetrics> metrics = std::make_shared<k8s::ApiMetrics>();
  std::unique_ptr<Runtime> runtime;
};

}  // namespace alcove::test
