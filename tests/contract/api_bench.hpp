// The bench of the API's contract tests: the client, and what it speaks to: the stand-in, or the cluster of
// ALCOVE_TEST_KUBECONFIG, in a namespace that exists (ALCOVE_TEST_NAMESPACE). Pods here fit on no node, so
// that no kubelet comes in between; but one for commands runs: ALCOVE_TEST_EXEC_POD names it, with a
// container `app` that has cat, sh, sleep and stty, and another, `before`, that has ended.
#pragma once

#include "k8s/api_client.hpp"
#include "k8s/informer.hpp"
#include "tests/support/api_stand_in.hpp"
#include "tests/support/run_awaitable.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace alcove::k8s {

class Api {
 public:
  virtual ~Api() = default;
  virtual ClusterAccess access() = 0;
  virtual std::string name_space() = 0;
  virtual void forget_history() = 0;      // what is old from now on answers 410
  virtual std::string running_pod() = 0;  // empty: there is none to be had
};

class StandIn final : public Api {
 public:
  explicit StandIn(test::ApiStandInOptions options = {}) : api_(std::move(options)) {}
  ClusterAccess access() override { return api_.access(); }
  std::string name_space() override { return "test"; }
  void forget_history() override { api_.objects().compact(); }
  std::string running_pod() override {
    const Json pod{{"apiVersion", "v1"},
                   {"kind", "Pod"},
                   {"metadata", {{"name", "runs"}}},
                   {"spec",
                    {{"initContainers", {{{"name", "before"}, {"image", "localhost/none:1"}}}},
                     {"containers", {{{"name", "app"}, {"image", "localhost/none:1"}}}}}}};
    api_.objects().create({"pods", name_space()}, pod.dump());
    api_.objects().set_status(name_space(), "runs", {{"phase", "Running"}});
    return "runs";
  }

 private:
  test::ApiStandIn api_;
};

class Cluster final : public Api {
 public:
  ClusterAccess access() override {
    return access_from_kubeconfig(std::getenv("ALCOVE_TEST_KUBECONFIG"), "").value();
  }
  std::string name_space() override {
    const char* name = std::getenv("ALCOVE_TEST_NAMESPACE");
    return name == nullptr ? "default" : name;
  }
  void forget_history() override {
    const char* command = std::getenv("ALCOVE_TEST_COMPACT");
    ASSERT_NE(command, nullptr);
    ASSERT_EQ(std::system(command), 0);
  }
  std::string running_pod() override {
    const char* name = std::getenv("ALCOVE_TEST_EXEC_POD");
    return name == nullptr ? "" : name;
  }
};

struct Maker {
  const char* name;
  std::unique_ptr<Api> (*make)();
};

// ctest registers what there is without a cluster; the group `kubernetes` runs the rest by itself.
inline std::vector<Maker> makers() {
  std::vector<Maker> all{{"stand_in", [] { return std::unique_ptr<Api>(std::make_unique<StandIn>()); }}};
  if (std::getenv("ALCOVE_TEST_KUBECONFIG") != nullptr)
    all.push_back({"cluster", [] { return std::unique_ptr<Api>(std::make_unique<Cluster>()); }});
  return all;
}
inline std::string name_of_maker(const testing::TestParamInfo<Maker>& maker) {
  return maker.param.name;
}

class ApiContract : public testing::TestWithParam<Maker> {
 protected:
  void SetUp() override {
    api = GetParam().make();
    client =
        std::make_unique<ApiClient>(context.get_executor(), api->access(), std::make_shared<ApiMetrics>());
    maps = collection("configmaps", api->name_space());
    pods = collection("pods", api->name_space());
  }
  void TearDown() override {
    for (const std::string& path : made) run(client->remove(path, {}));
    client->close();
  }
  template <class T>
  ApiResult<T> run(Awaitable<ApiResult<T>> call) {
    return test::run(context, std::move(call)).value();
  }
  // Who has this token, or none, and no certificate.
  ApiClient by_token(std::string token) {
    ClusterAccess access = api->access();
    access.certificate.clear();
    access.key.clear();
    access.token = std::move(token);
    return ApiClient(context.get_executor(), access, std::make_shared<ApiMetrics>());
  }
  // A name that no other run has.
  std::string fresh(const std::string& name) {
    return name + "-" + std::to_string(::getpid()) + "-" + std::to_string(++names);
  }
  Json config_map(const std::string& name) const {
    return {{"apiVersion", "v1"},
            {"kind", "ConfigMap"},
            {"metadata", {{"name", name}, {"labels", {{"run", run_label}}}}}};
  }
  Json pod(const std::string& name) const {
    return {{"apiVersion", "v1"},
            {"kind", "Pod"},
            {"metadata", {{"name", name}, {"labels", {{"run", run_label}}}}},
            {"spec",
             {{"nodeSelector", {{"alcove-test/no-such-node", "yes"}}},
              {"containers", {{{"name", "app"}, {"image", "localhost/none:1"}}}}}}};
  }
  ApiResult<Object> create(const std::string& where, Json object) {
    made.push_back(item(where, text_at(object, {"metadata", "name"})));
    return run(client->create(where, std::move(object)));
  }
  Selection ours() const {
    Selection selection;
    selection.labels = "run=" + run_label;
    return selection;
  }
  ApiResult<ObjectList> list(std::uint32_t page) { return run(client->list(maps, ours(), page)); }
  ApiResult<std::vector<WatchEvent>> next(const std::shared_ptr<Watch>& watch) {
    return run(Watch::next(watch));
  }

  std::unique_ptr<Api> api;
  asio::io_context context{1};
  std::unique_ptr<ApiClient> client;
  std::string maps;
  std::string pods;
  std::string run_label = fresh("run");
  std::vector<std::string> made;
  int names = 0;
};

}  // namespace alcove::k8s
