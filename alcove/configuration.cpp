#include "alcove/configuration.hpp"

#include "config/defaults.hpp"
#include "config/redis_url.hpp"

namespace alcove {
namespace {

const std::string kCommandLine = "command line";

void fault(Configuration& out, const std::string& option, const std::string& text) {
  out.faults.push_back(kCommandLine + ": " + option + ": " + text);
}

void override_addresses(const Overrides& overrides, Settings& settings, Configuration& out) {
  if (!overrides.listen.empty()) settings.listen.clear();
  for (const std::string& text : overrides.listen) {
    const auto endpoint = parse_listen_endpoint(text);
    if (endpoint)
      settings.listen.push_back({*endpoint, std::nullopt});
    else
      fault(out, "--listen", endpoint.error().text);
  }
  if (overrides.admin_listen.empty()) return;
  const auto endpoint = parse_listen_endpoint(overrides.admin_listen);
  if (endpoint)
    settings.admin.endpoint = *endpoint;
  else
    fault(out, "--admin-listen", endpoint.error().text);
}

void override_store(const Overrides& overrides, Settings& settings, Configuration& out) {
  if (overrides.store.empty()) return;
  if (overrides.store == "memory") {
    settings.store = MemoryStoreSettings{};
    return;
  }
  const auto redis = parse_redis_url(overrides.store);
  if (redis)
    settings.store = *redis;
  else
    fault(out, "--store", "must be memory or a Redis URL: " + redis.error().text);
}

void apply(const Overrides& overrides, Settings& settings, Configuration& out) {
  override_addresses(overrides, settings, out);
  override_store(overrides, settings, out);
  if (!overrides.state.empty()) {
    auto* local = std::get_if<LocalRuntimeSettings>(&settings.runtime);
    if (local != nullptr)
      local->directory = overrides.state;
    else
      fault(out, "--state", "is for the local runtime, and the config has another");
  }
  if (!overrides.log_format.empty()) settings.log.json = overrides.log_format == "json";
  if (!overrides.log_level.empty()) settings.log.level = overrides.log_level;
  if (overrides.workers) settings.workers = *overrides.workers;
}

void check_roles(const Settings& settings, const Roles& roles, Configuration& out) {
  if (roles.all() || !std::holds_alternative<MemoryStoreSettings>(settings.store)) return;
  out.faults.push_back((settings.file.empty() ? kCommandLine : settings.file) +
                       ": store: memory lives inside one process, so a role of its own would see no sessions "
                       "of the others: set "
                       "store: redis://HOST:PORT/0, or run all roles together with `alcove up`");
}

}  // namespace

Configuration configure(const std::string& file, const std::string& executable, const Overrides& overrides,
                        const Roles& roles) {
  Configuration out;
  SettingsPtr loaded;
  if (file.empty()) {
    loaded = default_settings(executable);
  } else {
    LoadResult result = load_settings(file, process_env);
    for (const LoadError& error : result.faults) out.faults.push_back(to_string(error));
    for (const LoadError& error : result.warnings) out.warnings.push_back(to_string(error));
    loaded = result.settings;
  }
  if (!out.faults.empty()) return out;

  auto settings = std::make_shared<Settings>(*loaded);
  apply(overrides, *settings, out);
  if (out.faults.empty() && *settings != *loaded) {
    // The file by itself was right, so what is wrong now comes from the command line.
    const Judgement judgement = judge_settings(*settings, kCommandLine);
    for (const LoadError& error : judgement.faults) out.faults.push_back(to_string(error));
    out.warnings.clear();
    for (const LoadError& error : judgement.warnings) out.warnings.push_back(to_string(error));
  }
  check_roles(*settings, roles, out);
  if (out.faults.empty()) out.settings = std::move(settings);
  return out;
}

}  // namespace alcove
