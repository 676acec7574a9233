#include "base/session_key.hpp"
#include "config/schema.hpp"

#include <array>

namespace alcove {
namespace {

using Time = Range<Millis>;
using Count = Range<std::uint32_t>;
constexpr Millis kSecond{1'000};
constexpr Millis kDay{86'400'000};
constexpr std::uint32_t kMostId = 2'147'483'647;

void read_words(const Value& value, std::vector<std::string>& out) {
  for (const Value& item : value.items()) item.read(out.emplace_back());
}

void read_texts(const Value& value, KubernetesAppSettings::Texts& out) {
  Mapping mapping(value);
  for (const auto& [name, entry] : mapping.entries()) {
    auto& [out_name, text] = out.emplace_back();
    out_name = name;
    entry.read(text);
  }
}

void read_ports(const Value& value, std::vector<std::pair<std::string, std::uint16_t>>& out) {
  Mapping mapping(value);
  for (const auto& [name, entry] : mapping.entries()) {
    if (!is_label(name) || name.size() > 15 || name == "alcove")
      entry.fault(quoted(name) + " is not a name for a port: a-z, 0-9 and \"-\", at most 15, and not alcove");
    auto& [out_name, port] = out.emplace_back();
    out_name = name;
    entry.read(port, Range<std::uint16_t>{1, 65535});
  }
}

void read_tolerations(const Value& value, std::vector<KubernetesToleration>& out) {
  for (const Value& item : value.items()) {
    KubernetesToleration& one = out.emplace_back();
    Mapping mapping(item);
    mapping.at("key").read(one.key);
    if (mapping.at("value").read(one.value)) one.exists = false;
    mapping.at("effect").read(one.effect);
    std::uint32_t seconds = 0;
    if (mapping.at("seconds").read(seconds, Count{0, kMostId})) one.seconds = seconds;
    mapping.refuse_unknown();
  }
}

void read_claim(const Value& value, ClaimVolume& out) {
  Mapping mapping(value);
  mapping.at("size").read(out.size);
  std::string storage_class;
  if (mapping.at("storage_class").read(storage_class)) out.storage_class = storage_class;
  const std::vector<std::string> modes{"ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany", "ReadOnlyMany"};
  std::size_t mode = 0;
  if (mapping.at("access").read_word(mode, modes)) out.access = modes[mode];
  mapping.at("keep").read(out.keep);
  mapping.refuse_unknown();
}

void read_empty(const Value& value, EmptyVolume& out) {
  Mapping mapping(value);
  mapping.at("size").read(out.size);
  mapping.at("memory").read(out.memory);
  mapping.refuse_unknown();
}

void read_volume(const Value& value, KubernetesVolume& out) {
  Mapping mapping(value);
  if (!mapping.at("path").read(out.path))
    value.reading().fault_at(value.key() + ".path",
                             "needs the path at which it is mounted, such as /home/user");
  mapping.at("read_only").read(out.read_only);
  const std::array<Value, 4> kinds{mapping.at("empty"), mapping.at("claim"), mapping.at("config_map"),
                                   mapping.at("secret")};
  int found = 0;
  for (const Value& kind : kinds) found += kind.present() ? 1 : 0;
  if (found != 1) value.fault("needs one of empty, claim, config_map and secret");
  if (kinds[0].present()) read_empty(kinds[0], out.source.emplace<EmptyVolume>());
  if (kinds[1].present()) read_claim(kinds[1], out.source.emplace<ClaimVolume>());
  if (kinds[2].present()) kinds[2].read(out.source.emplace<ConfigMapVolume>().name);
  if (kinds[3].present()) kinds[3].read(out.source.emplace<SecretVolume>().name);
  mapping.refuse_unknown();
}

void read_volumes(const Value& value, std::vector<KubernetesVolume>& out) {
  Mapping mapping(value);
  for (const auto& [name, entry] : mapping.entries()) {
    if (!is_label(name)) entry.fault(quoted(name) + " is not a name for a volume: a-z, 0-9 and single \"-\"");
    KubernetesVolume& volume = out.emplace_back();
    volume.name = name;
    read_volume(entry, volume);
  }
}

}  // namespace

void read_kubernetes_app(const Value& value, KubernetesAppSettings& out) {
  const Count id{0, kMostId};
  Mapping mapping(value);
  mapping.at("image").read(out.image);
  std::size_t pull = 0;
  if (mapping.at("pull").read_word(pull, {"default", "always", "if_not_present", "never"}))
    out.pull = static_cast<ImagePull>(pull);
  read_words(mapping.at("pull_secrets"), out.pull_secrets);
  read_words(mapping.at("command"), out.command);
  read_words(mapping.at("args"), out.args);
  read_ports(mapping.at("ports"), out.ports);
  read_texts(mapping.at("secret_env"), out.secret_env);
  read_texts(mapping.at("requests"), out.requests);
  read_texts(mapping.at("limits"), out.limits);
  read_texts(mapping.at("node_selector"), out.node_selector);
  read_tolerations(mapping.at("tolerations"), out.tolerations);
  mapping.at("priority_class").read(out.priority_class);
  mapping.at("service_account").read(out.service_account);
  mapping.at("mount_token").read(out.mount_token);
  read_volumes(mapping.at("volumes"), out.volumes);
  mapping.at("live_path").read(out.live_path);
  mapping.at("live_period").read(out.live_period, Time{kSecond, kDay});
  mapping.at("run_as_user").read(out.run_as_user, id);
  mapping.at("run_as_group").read(out.run_as_group, id);
  mapping.at("fs_group").read(out.fs_group, id);
  mapping.at("read_only_root").read(out.read_only_root);
  read_texts(mapping.at("labels"), out.labels);
  read_texts(mapping.at("annotations"), out.annotations);
  mapping.at("pod").read_json(out.pod);
  mapping.refuse_unknown();
}

void read_kubernetes_runtime(const Value& value, KubernetesRuntimeSettings& out) {
  Mapping mapping(value);
  mapping.at("kubeconfig").read(out.kubeconfig);
  mapping.at("context").read(out.context);
  mapping.at("namespace").read(out.pods_namespace);
  mapping.at("instance").read(out.instance);
  mapping.at("force_after").read(out.force_after, Time{Millis{0}, kDay});
  mapping.refuse_unknown();
}

}  // namespace alcove
