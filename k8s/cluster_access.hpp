// ClusterAccess: where the Kubernetes API is and how to prove who we are: from a kubeconfig, or from what a
// pod finds in its own file system. Called by: kubernetes_runtime at its start. Reads files and the
// environment; any thread. Fails with: Errc::not_found, denied, invalid; the text names the file and what is
// wrong with it. Sources: Kubernetes documentation, "Organizing Cluster Access Using kubeconfig Files" and
// "Accessing the Kubernetes API from a Pod".
#pragma once

#include "base/result.hpp"

#include <functional>
#include <optional>
#include <string>

namespace alcove::k8s {

struct ClusterAccess {
  std::string server;  // https://10.96.0.1:443, without a slash at its end
  std::string ca;      // PEM; empty: the system's
  bool verify = true;
  std::string server_name;     // that the certificate must have; empty: the server's own
  std::string proxy;           // empty: none, whatever the environment says
  std::string certificate;     // PEM, of the client; empty: none
  std::string key;             // PEM
  std::string token;           // a bearer token that never changes
  std::string token_file;      // one that rotates: read again whenever the file has changed
  std::string pods_namespace;  // that this access is meant for; empty: it does not say
};

struct AccessQuery {
  std::string
      kubeconfig;       // a file; empty: in a pod its service account, else $KUBECONFIG, else ~/.kube/config
  std::string context;  // of the kubeconfig; empty: its current one
};

using ReadEnv = std::function<std::optional<std::string>(const std::string& name)>;

// Where a pod finds its own credentials.
inline constexpr const char* kServiceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

Result<ClusterAccess> find_cluster_access(const AccessQuery& query, const ReadEnv& env,
                                          const std::string& account_folder = kServiceAccountFolder);

// The parts of it.
Result<ClusterAccess> access_in_cluster(const ReadEnv& env, const std::string& account_folder);
Result<ClusterAccess> access_from_kubeconfig(const std::string& files, const std::string& context);

}  // namespace alcove::k8s
