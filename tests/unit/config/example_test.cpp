// The example file is the documentation of the configuration: it must name every key, and its values must be
// the defaults, or it would lie.
#include "config/defaults.hpp"
#include "config/loader.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

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

// The lines that begin with "#" and no space after it: other choices, without their "#".
std::string other_choices() {
  std::istringstream lines(read(kConfig / "alcove.example.yaml"));
  std::string out;
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with('#') && line.size() > 1 &&
        (line[1] != ' ' || line.starts_with("#  - ") || line.starts_with("#    ") ||
         line.starts_with("#  redis:") || line.starts_with("#  static:")))
      out += line.substr(1) + "\n";
  return out;
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
  std::string text = other_choices();
  // The parts of a Redis URL exclude the URL itself; the certificates are on nobody's machine.
  text = std::regex_replace(text, std::regex("\n    url: [^\n]*"), "");
  text = std::regex_replace(
      text, std::regex("\n    tls: *#[^\n]*\n[^\n]*certificate:[^\n]*\n[^\n]*key:[^\n]*"), "");
  text += "identity: [{trusted_header: {from: 127.0.0.1}}]\napps: {a: {}}\n";
  const LoadResult result = load_settings_text(text, "other choices", no_env);
  for (const LoadError& fault : result.faults) ADD_FAILURE() << to_string(fault) << "\n" << text;
  ASSERT_TRUE(result.settings);
  EXPECT_EQ(result.settings->listen.size(), 2U);
  EXPECT_EQ(std::get<RedisStoreSettings>(result.settings->store), RedisStoreSettings{});
  EXPECT_EQ(std::get<StaticRuntimeSettings>(result.settings->runtime).shared, StaticRuntimeSettings{}.shared);
}

TEST(Example, names_every_key_that_the_loader_knows) {
  const LoadResult live = load_settings(kConfig / "alcove.example.yaml", no_env);
  const LoadResult other = load_settings_text(other_choices(), "other choices", no_env);
  std::set<std::string> known = live.known_keys;
  known.insert(other.known_keys.begin(), other.known_keys.end());
  ASSERT_TRUE(known.contains("store.redis.ca_file"));
  ASSERT_TRUE(known.contains("runtime.static.shared"));
  ASSERT_TRUE(known.contains("listen[].tls.certificate"));
  ASSERT_TRUE(known.contains("apps.*.pod_idle"));
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
