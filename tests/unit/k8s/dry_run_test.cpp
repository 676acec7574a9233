// What `alcove check --server` asks and tells, against the stand-in; against the real API, which really keeps
// nothing of it, in tests/kubernetes/test_failures.py.
#include "k8s/dry_run.hpp"

#include "tests/support/api_stand_in.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace alcove::k8s {
namespace {

using test::ApiRequest;
using test::ApiStandIn;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class DryRunTest : public testing::Test {
 protected:
  DryRunTest() {
    std::string folder = (std::filesystem::temp_directory_path() / "alcove-dry-run-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) ADD_FAILURE() << "no temporary folder";
    folder_ = folder;
    runtime.kubeconfig = folder_ / "kubeconfig";
    runtime.pods_namespace = "test";
    point_at(api.access().server);
  }
  ~DryRunTest() override { std::filesystem::remove_all(folder_); }

  void point_at(const std::string& server) {
    std::ofstream(folder_ / "kubeconfig") << fmt::format(
        R"({{"current-context": "c", "contexts": [{{"name": "c", "context": {{"cluster": "c", "user": "u"}}}}],
                            "clusters": [{{"name": "c", "cluster": {{"server": "{}"}}}}],
                            "users": [{{"name": "u", "user": {{"token": "let-me-in"}}}}]}})",
        server);
  }
  static AppSettings app(const std::string& name) {
    AppSettings out;
    out.name = name;
    out.kubernetes.image = "image:1";
    return out;
  }

  ApiStandIn api;
  KubernetesRuntimeSettings runtime;

 private:
  std::filesystem::path folder_;
};

TEST_F(DryRunTest, sends_each_pod_and_its_volumes_and_asks_that_nothing_is_kept) {
  AppSettings keeper = app("keeper");
  keeper.kubernetes.volumes.push_back({"home", "/home", false, ClaimVolume{}});
  EXPECT_THAT(try_on_cluster(runtime, {keeper, app("plain")}), IsEmpty());
  std::vector<std::string> paths;
  for (const ApiRequest& request : api.requests()) {
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.query.at("dryRun"), "All");
    EXPECT_EQ(request.query.at("fieldValidation"), "Strict");
    paths.push_back(request.path.substr(request.path.rfind('/') + 1));
  }
  EXPECT_THAT(paths, ElementsAre("persistentvolumeclaims", "pods", "pods"));
}

TEST_F(DryRunTest, tells_for_which_app_the_cluster_says_what_and_goes_on) {
  ApiStandIn::Fault refused;
  refused.status = 403;
  refused.reason = "Forbidden";
  api.fail_next(1, refused);
  const std::vector<std::string> faults = try_on_cluster(runtime, {app("first"), app("second")});
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_THAT(faults[0], HasSubstr("apps.first: "));
  EXPECT_EQ(api.count("POST"), 2U);
}

TEST_F(DryRunTest, says_once_that_it_is_not_known_there) {
  api.set_token("another");
  EXPECT_THAT(try_on_cluster(runtime, {app("first"), app("second")}), ElementsAre(HasSubstr("apps.first: ")));
}

TEST_F(DryRunTest, says_where_it_looked_for_the_cluster) {
  runtime.kubeconfig = "/no/such/file";
  EXPECT_THAT(try_on_cluster(runtime, {app("first")}), ElementsAre(HasSubstr("/no/such/file")));
}

}  // namespace
}  // namespace alcove::k8s
