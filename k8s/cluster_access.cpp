#include "k8s/cluster_access.hpp"

#include "base/text.hpp"
#include "config/files.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <vector>

namespace alcove::k8s {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMostBytes = 1 << 20;

Error invalid(std::string text) {
  return {Errc::invalid, std::move(text)};
}

// RFC 4648 section 4, as kubeconfigs have it; spaces and line ends are passed over.
bool base64_decode(std::string_view text, std::string& out) {
  std::string plain;
  for (const char c : text)
    if (c != '\n' && c != '\r' && c != ' ') plain.push_back(c);
  if (plain.empty() || plain.size() % 4 != 0) return false;
  out.resize(plain.size() / 4 * 3);
  const int size =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(plain.data()), static_cast<int>(plain.size()));
  if (size < 0) return false;
  std::size_t padding = 0;
  while (padding < 2 && plain[plain.size() - 1 - padding] == '=') ++padding;
  out.resize(static_cast<std::size_t>(size) - padding);
  return true;
}

std::string text_of(const YAML::Node& node) {
  return node.IsDefined() && node.IsScalar() ? node.Scalar() : std::string{};
}

// One entry of `clusters`, `users` or `contexts`, with the file that it is in: its paths are relative to
// that.
struct Entry {
  std::string file;
  YAML::Node node;
};

class Kubeconfig {
 public:
  // "a:b": several, of which the first that has something wins. Those that do not exist are passed over.
  static Result<Kubeconfig> read(const std::string& files) {
    Kubeconfig out;
    std::string_view rest = files;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(':'), rest.size());
      const std::string path(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (path.empty()) continue;
      const auto content = read_file(path, kMostBytes);
      if (!content && content.error().code == Errc::not_found && files.find(':') != std::string::npos)
        continue;
      if (!content) return content.error();
      try {
        out.documents_.push_back({path, YAML::Load(*content)});
      } catch (const YAML::Exception& error) {
        return invalid(fmt::format("{}: is not YAML: {}", path, error.what()));
      }
      if (!out.documents_.back().node.IsMap())
        return invalid(fmt::format("{}: is not a kubeconfig: it holds no mapping", path));
    }
    if (out.documents_.empty())
      return Error{Errc::not_found, fmt::format("no kubeconfig: none of {} exists", files)};
    return out;
  }

  std::string current_context() const {
    for (const Entry& document : documents_)
      if (std::string name = text_of(document.node["current-context"]); !name.empty()) return name;
    return {};
  }

  // What stands under `inner` of the entry called `name` in the list `list`.
  Result<Entry> find(const char* list, const char* inner, const std::string& name) const {
    for (const Entry& document : documents_) {
      const YAML::Node entries = document.node[list];
      if (!entries.IsDefined() || !entries.IsSequence()) continue;
      for (const auto& entry : entries) {
        if (!entry.IsMap() || text_of(entry["name"]) != name) continue;
        const YAML::Node found = entry[inner];
        if (!found.IsDefined() || !found.IsMap())
          return invalid(fmt::format("{}: {} \"{}\" has no {}", document.file, list, name, inner));
        return Entry{document.file, found};
      }
    }
    return Error{Errc::not_found, fmt::format("{}: there is no \"{}\" among its {}", documents_.front().file,
                                              printable(name, 80), list)};
  }
  const std::string& file() const { return documents_.front().file; }

 private:
  std::vector<Entry> documents_;
};

std::string beside(const std::string& file, const std::string& path) {
  return path.starts_with('/') ? path : (fs::absolute(file).parent_path() / path).string();
}

// KEY-data in the file itself, or KEY, the name of another.
Result<void> read_pem(const Entry& entry, const std::string& key, std::string& out) {
  if (const std::string data = text_of(entry.node[key + "-data"]); !data.empty()) {
    if (!base64_decode(data, out)) return invalid(fmt::format("{}: {}-data is not base64", entry.file, key));
    return {};
  }
  const std::string path = text_of(entry.node[key]);
  if (path.empty()) return {};
  auto content = read_file(beside(entry.file, path), kMostBytes);
  if (!content)
    return Error{content.error().code, fmt::format("{}: {}: {}", entry.file, key, content.error().text)};
  out = std::move(*content);
  return {};
}

Result<void> read_cluster(const Entry& entry, ClusterAccess& out) {
  out.server = text_of(entry.node["server"]);
  while (out.server.ends_with('/')) out.server.pop_back();
  if (!out.server.starts_with("https://") && !out.server.starts_with("http://"))
    return invalid(fmt::format("{}: server \"{}\" is not a URL, such as https://10.0.0.1:6443", entry.file,
                               printable(out.server, 80)));
  out.verify = text_of(entry.node["insecure-skip-tls-verify"]) != "true";
  out.server_name = text_of(entry.node["tls-server-name"]);
  out.proxy = text_of(entry.node["proxy-url"]);
  return read_pem(entry, "certificate-authority", out.ca);
}

Result<void> read_user(const Entry& entry, ClusterAccess& out) {
  for (const char* plugin : {"exec", "auth-provider"})
    if (entry.node[plugin].IsDefined())
      return invalid(
          fmt::format("{}: its user gets credentials from a program ({}), which is not supported: use a "
                      "token, a tokenFile or a client certificate",
                      entry.file, plugin));
  if (auto read = read_pem(entry, "client-certificate", out.certificate); !read) return read;
  if (auto read = read_pem(entry, "client-key", out.key); !read) return read;
  if (out.certificate.empty() != out.key.empty())
    return invalid(fmt::format("{}: its user has only one of client-certificate and client-key", entry.file));
  out.token = text_of(entry.node["token"]);
  if (const std::string path = text_of(entry.node["tokenFile"]); !path.empty())
    out.token_file = beside(entry.file, path);
  return {};
}

}  // namespace

Result<ClusterAccess> access_from_kubeconfig(const std::string& files, const std::string& context) {
  const Result<Kubeconfig> config = Kubeconfig::read(files);
  if (!config) return config.error();
  const std::string name = context.empty() ? config->current_context() : context;
  if (name.empty())
    return invalid(fmt::format("{}: has no current-context; say which one to use", config->file()));
  const Result<Entry> chosen = config->find("contexts", "context", name);
  if (!chosen) return chosen.error();
  const Result<Entry> cluster = config->find("clusters", "cluster", text_of(chosen->node["cluster"]));
  if (!cluster) return cluster.error();
  ClusterAccess out;
  out.pods_namespace = text_of(chosen->node["namespace"]);
  if (const auto read = read_cluster(*cluster, out); !read) return read.error();
  if (const std::string user = text_of(chosen->node["user"]); !user.empty()) {
    const Result<Entry> found = config->find("users", "user", user);
    if (!found) return found.error();
    if (const auto read = read_user(*found, out); !read) return read.error();
  }
  return out;
}

Result<ClusterAccess> access_in_cluster(const ReadEnv& env, const std::string& account_folder) {
  const auto host = env("KUBERNETES_SERVICE_HOST");
  const auto port = env("KUBERNETES_SERVICE_PORT");
  if (!host || !port || host->empty() || port->empty())
    return Error{Errc::not_found,
                 "this is no pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set"};
  ClusterAccess out;
  const bool v6 = host->find(':') != std::string::npos;
  out.server = fmt::format("https://{}{}{}:{}", v6 ? "[" : "", *host, v6 ? "]" : "", *port);
  auto ca = read_file(account_folder + "/ca.crt", kMostBytes);
  if (!ca) return ca.error();
  out.ca = std::move(*ca);
  out.token_file = account_folder + "/token";
  // Read once here, so that a pod without a token is told at the start and not at the first call.
  if (auto token = read_secret_file(out.token_file); !token)
    return Error{token.error().code,
                 token.error().text + ". Does the pod's service account have its token mounted?"};
  if (auto name = read_secret_file(account_folder + "/namespace")) out.pods_namespace = *name;
  return out;
}

Result<ClusterAccess> find_cluster_access(const AccessQuery& query, const ReadEnv& env,
                                          const std::string& account_folder) {
  if (!query.kubeconfig.empty()) return access_from_kubeconfig(query.kubeconfig, query.context);
  const auto listed = env("KUBECONFIG");
  const bool has_list = listed && !listed->empty();
  // A pod's own account, unless somebody has said otherwise.
  if (!has_list && query.context.empty() && env("KUBERNETES_SERVICE_HOST"))
    return access_in_cluster(env, account_folder);
  if (has_list) return access_from_kubeconfig(*listed, query.context);
  const auto home = env("HOME");
  const std::string usual = home.value_or("") + "/.kube/config";
  std::error_code ec;
  if (!fs::exists(usual, ec))
    return Error{Errc::not_found,
                 fmt::format("no Kubernetes cluster is known: this is no pod, KUBECONFIG is not set, "
                             "and {} does not exist; set runtime.kubernetes.kubeconfig",
                             usual)};
  return access_from_kubeconfig(usual, query.context);
}

}  // namespace alcove::k8s
