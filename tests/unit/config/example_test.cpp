// The example file is the documentation of the configuration: it must name every key, and its values must be
// the defaults, or it would lie.
#include "config/defaults.hpp"
#include "config/loader.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <vector>

namespace alcove {
namespace {

const std::filesystem::path kConfig = ALCOVE_CONFIG_DIR;

std::optional<std::string> no_env(const std::string&) {
  return std::nullopt;
}

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::stringstream out;
  out << file.rdbuf();
  return out.str();
}

// The lines that begin with "#" and no space after it: other choices, without their "#". What chooses the
// same key once more begins a document of its own.
std::vector<std::string> other_choices() {
  std::istringstream lines(read(kConfig / "alcove.example.yaml"));
  std::vector<std::string> out(1);
  std::set<std::string> keys;
  for (std::string line; std::getline(lines, line);) {
    if (!std::regex_search(line, std::regex("^#([a-z]|  - |  [a-z]+:|    )"))) continue;
    line.erase(0, 1);
    if (line[0] != ' ' && !keys.insert(line).second) {
      keys = {line};
      out.emplace_back();
    }
    out.back() += line + "\n";
  }
  return out;
}

LoadResult load_choice(std::string text) {
  // The parts of a Redis URL exclude the URL itself; the certificates are on nobody's machine.
  text = std::regex_replace(text, std::regex("\n    url: [^\n]*"), "");
  text = std::regex_replace(
      text, std::regex("\n    tls: *#[^\n]*\n[^\n]*certificate:[^\n]*\n[^\n]*key:[^\n]*"), "");
  text += "identity: [{trusted_header: {from: 127.0.0.1}}]\n";
  if (text.find("apps:\n") == std::string::npos) text += "apps: {a: {kubernetes: {image: x}}}\n";
  LoadResult result = load_settings_text(text, "other choices", no_env);
  for (const LoadError& fault : result.faults) ADD_FAILURE() << to_string(fault) << "\n" << text;
  return result;
}

TEST(Example, loads_without_a_word) {
  const LoadResult result = load_settings(kConfig / "alcove.example.yaml", no_env);
  for (const LoadError& fault : result.faults) ADD_FAILURE() << to_string(fault);
  for (const LoadError& warning : result.warnings) ADD_FAILURE() << to_string(warning);
}

TEST(Example, shows_the_defaults) {
  const LoadResult result = load_settings(kConfig / "alcove.example.yaml", no_env);
  ASSERT_TRUE(result.settings);
  const Settings& shown = *result.settings;
  const Settings plain;
  ASSERT_EQ(shown.listen.size(), 1U);
  EXPECT_EQ(shown.listen[0].endpoint, default_listen());
  EXPECT_EQ(shown.workers, plain.workers);
  EXPECT_EQ(shown.domains, plain.domains);
  ASSERT_EQ(shown.identity.size(), 2U);
  EXPECT_EQ(std::get<TrustedHeaderIdentity>(shown.identity[0]).header, TrustedHeaderIdentity{}.header);
  EXPECT_EQ(std::get<DevIdentity>(shown.identity[1]), DevIdentity{});
  EXPECT_EQ(shown.trusted_proxies, plain.trusted_proxies);
  EXPECT_EQ(shown.store, plain.store);
  EXPECT_EQ(shown.runtime, plain.runtime);
  EXPECT_EQ(shown.provisioner, plain.provisioner);
  EXPECT_EQ(shown.reaper, plain.reaper);
  EXPECT_EQ(shown.limits, plain.limits);
  EXPECT_EQ(shown.timeouts, plain.timeouts);
  EXPECT_EQ(shown.outage, plain.outage);
  EXPECT_EQ(shown.activity_interval, plain.activity_interval);
  EXPECT_EQ(shown.admin, plain.admin);
  EXPECT_EQ(shown.log, plain.log);
  ASSERT_EQ(shown.apps.size(), 1U);
  AppSettings app = shown.apps[0];
  EXPECT_FALSE(app.command.empty());
  app.name.clear();
  app.command.clear();
  EXPECT_EQ(app, AppSettings{});
}

TEST(Example, shows_other_choices_that_load_and_are_defaults_too) {
  const std::vector<std::string> choices = other_choices();
  ASSERT_EQ(choices.size(), 2U);
  const LoadResult first = load_choice(choices[0]);
  ASSERT_TRUE(first.settings);
  EXPECT_EQ(first.settings->listen.size(), 2U);
  EXPECT_EQ(std::get<RedisStoreSettings>(first.settings->store), RedisStoreSettings{});
  EXPECT_EQ(std::get<StaticRuntimeSettings>(first.settings->runtime).shared, StaticRuntimeSettings{}.shared);

  const LoadResult second = load_choice(choices[1]);
  ASSERT_TRUE(second.settings);
  EXPECT_EQ(std::get<KubernetesRuntimeSettings>(second.settings->runtime), KubernetesRuntimeSettings{});
  const KubernetesAppSettings& shown = second.settings->apps.at(0).kubernetes;
  ASSERT_EQ(shown.volumes.size(), 4U);
  ClaimVolume claim;
  claim.storage_class = "ssd";
  EXPECT_EQ(std::get<ClaimVolume>(shown.volumes[0].source), claim);
  EXPECT_EQ(std::get<EmptyVolume>(shown.volumes[1].source), EmptyVolume{});
}

TEST(Example, names_every_key_that_the_loader_knows) {
  const LoadResult live = load_settings(kConfig / "alcove.example.yaml", no_env);
  std::set<std::string> known = live.known_keys;
  for (const std::string& text : other_choices()) {
    const LoadResult other = load_settings_text(text, "other choices", no_env);
    known.insert(other.known_keys.begin(), other.known_keys.end());
  }
  ASSERT_TRUE(known.contains("store.redis.ca_file"));
  ASSERT_TRUE(known.contains("runtime.static.shared"));
  ASSERT_TRUE(known.contains("listen[].tls.certificate"));
  ASSERT_TRUE(known.contains("apps.*.pod_idle"));
  ASSERT_TRUE(known.contains("runtime.kubernetes.instance"));
  ASSERT_TRUE(known.contains("apps.*.kubernetes.volumes.*.claim.keep"));
  const std::string text = read(kConfig / "alcove.example.yaml");
  for (const std::string& key : known) {
    if (key == "store.memory") continue;  // stands there as a word
    const std::string name = key.substr(key.find_last_of('.') + 1);
    EXPECT_TRUE(std::regex_search(text, std::regex("(^|\n)#?[ -]*" + name + ":"))) << key;
  }
}

TEST(Examples, all_load) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kConfig / "examples")) {
    if (entry.path().extension() != ".yaml") continue;
    ++count;
    const LoadResult result = load_settings(entry.path(), no_env);
    for (const LoadError& fault : result.faults) ADD_FAILURE() << to_string(fault);
    for (const LoadError& warning : result.warnings) ADD_FAILURE() << to_string(warning);
  }
  EXPECT_GE(count, 4U);
}

}  // namespace
}  // namespace alcove
