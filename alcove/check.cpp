#include "alcove/check.hpp"

#include "alcove/stores.hpp"
#include "config/units.hpp"
#include "k8s/dry_run.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace alcove {
namespace {

constexpr int kFaulty = 2;

std::string store_of(const Settings& settings) {
  const auto* redis = std::get_if<RedisStoreSettings>(&settings.store);
  if (redis == nullptr) return "memory";
  return "redis at " + redis->host + ":" + std::to_string(redis->port) + (redis->tls ? " (TLS)" : "");
}

std::string runtime_of(const Settings& settings) {
  if (const auto* local = std::get_if<LocalRuntimeSettings>(&settings.runtime))
    return "local, pods in " + local->network;
  if (const auto* kubernetes = std::get_if<KubernetesRuntimeSettings>(&settings.runtime))
    return "kubernetes, instance " + kubernetes->instance +
           (kubernetes->pods_namespace.empty() ? "" : " in namespace " + kubernetes->pods_namespace);
  const auto& fixed = std::get<StaticRuntimeSettings>(settings.runtime);
  return "static, " + std::to_string(fixed.endpoints.size()) + " endpoints" +
         (fixed.shared ? ", shared" : "");
}

std::string identity_of(const Settings& settings) {
  std::string out;
  for (const IdentitySettings& identity : settings.identity) {
    if (!out.empty()) out += ", then ";
    const auto* trusted = std::get_if<TrustedHeaderIdentity>(&identity);
    out += trusted != nullptr ? "header " + trusted->header : "dev (believes every name)";
  }
  return out;
}

std::string listen_of(const Settings& settings) {
  std::string out;
  for (const ListenSettings& listen : settings.listen) {
    if (!out.empty()) out += ", ";
    out += to_string(listen.endpoint) + (listen.tls ? " (TLS)" : "");
  }
  return out;
}

void print_summary(const std::string& file, const Settings& settings) {
  fmt::print("{} is good.\n", file);
  const auto row = [](std::string_view name, const std::string& value) {
    fmt::print("  {:<10}{}\n", name, value);
  };
  row("listen", listen_of(settings));
  row("admin", to_string(settings.admin.endpoint) + (settings.admin.token.empty() ? "" : " (token)"));
  row("identity", identity_of(settings));
  row("store", store_of(settings));
  row("runtime", runtime_of(settings));
  for (const AppSettings& app : settings.apps) {
    const std::string where =
        app.name + "." + settings.domains.front() + (app.path.empty() ? "" : " and " + app.path);
    row("app", where + ", " +
                   (app.idle_timeout > Millis{0} ? "idle after " + format_duration(app.idle_timeout)
                                                 : "never idle"));
  }
}

// What the cluster says of the apps' pods.
std::vector<std::string> ask_cluster(const CommandLine& line, const Settings& settings) {
  const auto* runtime = std::get_if<KubernetesRuntimeSettings>(&settings.runtime);
  if (runtime == nullptr) return {line.config + ": --server is for runtime.kubernetes, and this has another"};
  std::vector<std::string> faults = k8s::try_on_cluster(*runtime, settings.apps);
  for (std::string& fault : faults) fault.insert(0, line.config + ": ");
  return faults;
}

}  // namespace

int run_check(const CommandLine& line) {
  // Judged for `alcove up`: whether a single role can run with it depends on the role.
  Configuration configuration = configure(line.config, "", {}, {true, true, true, true});
  if (line.server && configuration.settings)
    configuration.faults = ask_cluster(line, *configuration.settings);
  const bool good = configuration.faults.empty();
  if (line.json) {
    const nlohmann::json out{{"file", line.config},
                             {"good", good},
                             {"faults", configuration.faults},
                             {"warnings", configuration.warnings}};
    fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    return good ? 0 : kFaulty;
  }
  for (const std::string& fault : configuration.faults) fmt::print(stderr, "{}\n", fault);
  for (const std::string& warning : configuration.warnings) fmt::print(stderr, "{} (warning)\n", warning);
  if (!good) return kFaulty;
  print_summary(line.config, *configuration.settings);
  return 0;
}

}  // namespace alcove
