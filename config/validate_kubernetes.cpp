#include "base/session_key.hpp"
#include "base/text.hpp"
#include "config/validate.hpp"

#include <algorithm>

namespace alcove {
namespace {

bool word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
}

// A name of an object: a DNS subdomain (RFC 1123).
bool is_object_name(std::string_view text) {
  return !text.empty() && text.size() <= 253 && word_char(text.front()) && word_char(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
         });
}

bool is_label_value(std::string_view text) {
  if (text.empty()) return true;
  return text.size() <= 63 && word_char(text.front()) && word_char(text.back()) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return word_char(c) || c == '-' || c == '_' || c == '.'; });
}

// "team" or "example.com/team".
bool is_label_key(std::string_view text) {
  const auto slash = text.find('/');
  if (slash != std::string_view::npos && !is_object_name(text.substr(0, slash))) return false;
  const std::string_view name = slash == std::string_view::npos ? text : text.substr(slash + 1);
  return !name.empty() && is_label_value(name);
}

// 2, 0.5, 100m, 512Mi, 1e3: what Kubernetes calls a quantity.
bool is_quantity(std::string_view text) {
  constexpr std::string_view kSuffixes[] = {"",  "n", "u",  "m",  "k",  "M",  "G",  "T",
                                            "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
  const auto digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view number = text.substr(0, digits);
  if (number.empty() || number == "." || std::count(number.begin(), number.end(), '.') > 1) return false;
  std::string_view suffix = text.substr(digits);
  if (suffix.size() > 1 && (suffix[0] == 'e' || suffix[0] == 'E') &&
      suffix.find_first_not_of("0123456789", 1) == std::string_view::npos)
    return true;
  return std::find(std::begin(kSuffixes), std::end(kSuffixes), suffix) != std::end(kSuffixes);
}

class Check {
 public:
  Check(const KubernetesAppSettings& app, std::string key, Reading& reading)
      : app_(app), key_(std::move(key)), reading_(reading) {}

  void all() {
    object_name(".service_account", app_.service_account);
    object_name(".priority_class", app_.priority_class);
    for (const std::string& secret : app_.pull_secrets) object_name(".pull_secrets", secret);
    if (app_.mount_token && app_.service_account.empty())
      fault(".mount_token", "needs a service_account whose token it is");
    if (!app_.live_path.empty() && !app_.live_path.starts_with('/'))
      fault(".live_path", quoted(app_.live_path) + " is not a path: it begins with /");
    quantities(".requests", app_.requests);
    quantities(".limits", app_.limits);
    pairs(".labels", app_.labels, true);
    pairs(".node_selector", app_.node_selector, true);
    pairs(".annotations", app_.annotations, false);
    secret_env();
    command(".command", app_.command);
    command(".args", app_.args);
    tolerations();
    volumes();
  }

 private:
  void fault(const std::string& key, std::string text) { reading_.fault_at(key_ + key, std::move(text)); }
  void object_name(const std::string& key, const std::string& name) {
    if (!name.empty() && !is_object_name(name))
      fault(key, quoted(name) + " is not a name of an object: a-z, 0-9, \"-\" and \".\"");
  }
  void quantity(const std::string& key, const std::string& text) {
    if (!is_quantity(text)) fault(key, quoted(text) + " is not a quantity, such as 500m, 2, 512Mi or 1Gi");
  }
  void quantities(const std::string& key, const KubernetesAppSettings::Texts& texts) {
    for (const auto& [name, text] : texts) quantity(key + "." + printable(name, 80), text);
  }
  void pairs(const std::string& key, const KubernetesAppSettings::Texts& texts, bool labels) {
    for (const auto& [name, text] : texts) {
      const std::string at = key + "." + printable(name, 80);
      if (!is_label_key(name))
        fault(at, quoted(name) + " is not a key, such as team or example.com/team");
      else if (name.starts_with("alcove/") && key != ".node_selector")
        fault(at, "keys that begin with alcove/ are Alcove's own");
      else if (labels && !is_label_value(text))
        fault(at,
              quoted(text) + " is not a label's value: letters, digits, \"-\", \"_\" and \".\", at most 63");
    }
  }
  void secret_env() {
    for (const auto& [name, from] : app_.secret_env) {
      const auto slash = from.find('/');
      const bool good = slash != std::string::npos && is_object_name(from.substr(0, slash)) &&
                        slash + 1 < from.size() && from.find('/', slash + 1) == std::string::npos;
      if (!good)
        fault(".secret_env." + printable(name, 80),
              quoted(from) + " is not SECRET/KEY, such as app-keys/token");
    }
  }
  void command(const std::string& key, const std::vector<std::string>& words) {
    for (const std::string& word : words)
      if (word.find("{user}") != std::string::npos)
        fault(key, "{user} is not replaced here, since it is any text; the program finds it in ALCOVE_USER");
  }
  void tolerations() {
    for (std::size_t i = 0; i < app_.tolerations.size(); ++i) {
      const std::string& effect = app_.tolerations[i].effect;
      if (!effect.empty() && effect != "NoSchedule" && effect != "PreferNoSchedule" && effect != "NoExecute")
        fault(".tolerations[" + std::to_string(i) + "].effect",
              quoted(effect) + " is not NoSchedule, PreferNoSchedule or NoExecute");
    }
  }
  void volumes() {
    for (std::size_t i = 0; i < app_.volumes.size(); ++i) {
      const KubernetesVolume& volume = app_.volumes[i];
      const std::string key = ".volumes." + printable(volume.name, 80);
      if (!volume.path.starts_with('/') || volume.path.find(':') != std::string::npos)
        fault(key + ".path", quoted(volume.path) + " is not an absolute path (without \":\")");
      for (std::size_t j = 0; j < i; ++j)
        if (app_.volumes[j].path == volume.path)
          fault(key + ".path",
                quoted(volume.path) + " belongs to the volume " + app_.volumes[j].name + " already");
      if (const auto* claim = std::get_if<ClaimVolume>(&volume.source)) {
        quantity(key + ".claim.size", claim->size);
        object_name(key + ".claim.storage_class", claim->storage_class.value_or(""));
      } else if (const auto* empty = std::get_if<EmptyVolume>(&volume.source)) {
        if (!empty->size.empty()) quantity(key + ".empty.size", empty->size);
      } else if (const auto* map = std::get_if<ConfigMapVolume>(&volume.source)) {
        object_name(key + ".config_map", map->name);
      } else {
        object_name(key + ".secret", std::get<SecretVolume>(volume.source).name);
      }
    }
  }

  const KubernetesAppSettings& app_;
  std::string key_;
  Reading& reading_;
};

}  // namespace

void check_kubernetes_runtime(const KubernetesRuntimeSettings& runtime, Reading& reading) {
  if (!is_label(runtime.instance))
    reading.fault_at(
        "runtime.kubernetes.instance",
        quoted(runtime.instance) + " is not a name: a-z, 0-9 and single \"-\" inside, at most 63");
  if (!runtime.pods_namespace.empty() && !is_label(runtime.pods_namespace))
    reading.fault_at("runtime.kubernetes.namespace", quoted(runtime.pods_namespace) + " is not a namespace");
}

void check_kubernetes_app(const Settings& settings, const AppSettings& app, const std::string& key,
                          Reading& reading) {
  if (std::holds_alternative<KubernetesRuntimeSettings>(settings.runtime) && app.kubernetes.image.empty())
    reading.fault_at(
        key + ".kubernetes.image",
        "the Kubernetes runtime needs to know what to run, such as registry.example.com/app:1.0");
  Check(app.kubernetes, key + ".kubernetes", reading).all();
}

}  // namespace alcove
