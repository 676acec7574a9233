// Where the API is and who we are: kubeconfigs as people have them, and a pod's own account.
#include "k8s/cluster_access.hpp"

#include "k8s/token_source.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>

namespace alcove::k8s {
namespace {

using testing::HasSubstr;

constexpr const char* kConfig = R"(
apiVersion: v1
kind: Config
current-context: one
contexts:
- {name: one, context: {cluster: here, user: cert, namespace: sandboxes}}
- {name: two, context: {cluster: there, user: token}}
- {name: rotating, context: {cluster: here, user: file}}
- {name: program, context: {cluster: here, user: exec}}
- {name: half, context: {cluster: here, user: half}}
- {name: nowhere, context: {cluster: gone, user: cert}}
clusters:
- {name: here, cluster: {server: "https://10.0.0.1:6443/", certificate-authority-data: Q0EgUEVN}}
- {name: there, cluster: {server: "https://127.0.0.1:1", certificate-authority: ca.pem, tls-server-name: api.internal}}
users:
- {name: cert, user: {client-certificate-data: Q0VSVA==, client-key-data: S0VZ}}
- {name: token, user: {token: abc}}
- {name: file, user: {tokenFile: secret/token}}
- {name: exec, user: {exec: {command: aws}}}
- {name: half, user: {client-certificate-data: Q0VSVA==}}
)";

class ClusterAccessTest : public testing::Test {
 protected:
  ClusterAccessTest() {
    std::string name = (std::filesystem::temp_directory_path() / "alcove-access-XXXXXX").string();
    directory = ::mkdtemp(name.data());
    write("config", kConfig);
    write("ca.pem", "CA FROM A FILE");
  }
  ~ClusterAccessTest() override { std::filesystem::remove_all(directory); }

  std::string write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((directory / name).parent_path());
    std::ofstream(directory / name) << content;
    return (directory / name).string();
  }
  Result<ClusterAccess> from(const std::string& context) const {
    return access_from_kubeconfig((directory / "config").string(), context);
  }
  Result<ClusterAccess> find(const AccessQuery& query) const {
    return find_cluster_access(
        query,
        [this](const std::string& name) {
          const auto found = env.find(name);
          return found == env.end() ? std::nullopt : std::optional<std::string>(found->second);
        },
        (directory / "account").string());
  }

  std::filesystem::path directory;
  std::map<std::string, std::string> env;
};

TEST_F(ClusterAccessTest, current_context_with_inline_data) {
  const Result<ClusterAccess> access = from("");
  ASSERT_TRUE(access) << access.error().text;
  EXPECT_EQ(access->server, "https://10.0.0.1:6443");
  EXPECT_EQ(access->ca, "CA PEM");
  EXPECT_EQ(access->certificate, "CERT");
  EXPECT_EQ(access->key, "KEY");
  EXPECT_EQ(access->pods_namespace, "sandboxes");
  EXPECT_TRUE(access->verify);
}

TEST_F(ClusterAccessTest, another_context_with_files_beside_the_kubeconfig) {
  const Result<ClusterAccess> access = from("two");
  ASSERT_TRUE(access) << access.error().text;
  EXPECT_EQ(access->ca, "CA FROM A FILE");
  EXPECT_EQ(access->server_name, "api.internal");
  EXPECT_EQ(access->token, "abc");
  EXPECT_EQ(from("rotating")->token_file, (directory / "secret/token").string());
}

TEST_F(ClusterAccessTest, says_what_is_wrong) {
  EXPECT_THAT(from("three").error().text, HasSubstr("there is no \"three\" among its contexts"));
  EXPECT_THAT(from("nowhere").error().text, HasSubstr("there is no \"gone\" among its clusters"));
  EXPECT_THAT(from("program").error().text, HasSubstr("(exec), which is not supported"));
  EXPECT_THAT(from("half").error().text, HasSubstr("only one of client-certificate and client-key"));
  EXPECT_EQ(access_from_kubeconfig("/no/such/file", "").error().code, Errc::not_found);
  EXPECT_THAT(access_from_kubeconfig(write("bad", "a: ["), "").error().text, HasSubstr("is not YAML"));
  EXPECT_THAT(access_from_kubeconfig(write("list", "- 1"), "").error().text, HasSubstr("no mapping"));
}

TEST_F(ClusterAccessTest, several_kubeconfigs_are_one) {
  const std::string first = write("first", "current-context: two\n");
  const Result<ClusterAccess> access = access_from_kubeconfig(
      first + ":" + (directory / "missing").string() + ":" + (directory / "config").string(), "");
  ASSERT_TRUE(access) << access.error().text;
  EXPECT_EQ(access->token, "abc");
}

TEST_F(ClusterAccessTest, a_pod_uses_its_own_account) {
  env = {{"KUBERNETES_SERVICE_HOST", "10.96.0.1"}, {"KUBERNETES_SERVICE_PORT", "443"}};
  EXPECT_EQ(find({}).error().code, Errc::not_found);
  write("account/ca.crt", "CA");
  EXPECT_THAT(find({}).error().text, HasSubstr("token mounted?"));
  write("account/token", "t\n");
  write("account/namespace", "alcove");
  const Result<ClusterAccess> access = find({});
  ASSERT_TRUE(access) << access.error().text;
  EXPECT_EQ(access->server, "https://10.96.0.1:443");
  EXPECT_EQ(access->token_file, (directory / "account/token").string());
  EXPECT_EQ(access->pods_namespace, "alcove");
  env["KUBERNETES_SERVICE_HOST"] = "fd00::1";
  EXPECT_EQ(find({})->server, "https://[fd00::1]:443");
}

TEST_F(ClusterAccessTest, who_says_it_explicitly_wins_over_the_pod) {
  env = {{"KUBERNETES_SERVICE_HOST", "10.96.0.1"}, {"KUBERNETES_SERVICE_PORT", "443"}};
  env["KUBECONFIG"] = (directory / "config").string();
  EXPECT_EQ(find({})->certificate, "CERT");
  EXPECT_EQ(find({(directory / "config").string(), "two"})->token, "abc");
}

TEST_F(ClusterAccessTest, nothing_at_all_is_said_with_what_to_do) {
  env["HOME"] = directory.string();
  EXPECT_THAT(find({}).error().text, HasSubstr("set runtime.kubernetes.kubeconfig"));
  write(".kube/config", kConfig);
  EXPECT_EQ(find({})->certificate, "CERT");
}

TEST_F(ClusterAccessTest, token_is_read_again_when_its_file_changes) {
  const std::string file = write("token", "first\n");
  TokenSource source("", file);
  EXPECT_EQ(source.current(), "first");
  // As kubelet does it: another file in its place.
  std::filesystem::rename(write("token.new", "second"), file);
  EXPECT_EQ(source.current(), "second");
  EXPECT_FALSE(source.read_again());
  std::filesystem::remove(file);
  EXPECT_EQ(source.current(), "second") << "gone for a moment is no reason to forget it";
  EXPECT_EQ(TokenSource("fixed", "").current(), "fixed");
}

}  // namespace
}  // namespace alcove::k8s
