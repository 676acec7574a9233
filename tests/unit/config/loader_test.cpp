#include "config/loader.hpp"

#include "config/defaults.hpp"
#include "config/units.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace alcove {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kIdentity = "identity: [dev]\n";
const std::string kApps = "apps: {demo: {command: [x]}}\n";

std::optional<std::string> no_env(const std::string&) {
  return std::nullopt;
}

LoadResult load(const std::string& text) {
  return load_settings_text(text, "a.yaml", no_env);
}

std::vector<std::string> faults(const std::string& text) {
  std::vector<std::string> out;
  for (const LoadError& fault : load(text).faults) out.push_back(to_string(fault));
  return out;
}

std::vector<std::string> warnings(const std::string& text) {
  const LoadResult result = load(text);
  EXPECT_THAT(result.faults.empty() ? "" : to_string(result.faults.front()), IsEmpty());
  std::vector<std::string> out;
  for (const LoadError& warning : result.warnings) out.push_back(to_string(warning));
  return out;
}

Settings good(const std::string& text) {
  const LoadResult result = load(text);
  for (const LoadError& fault : result.faults) ADD_FAILURE() << to_string(fault);
  return result.settings ? *result.settings : Settings{};
}

class Directory {
 public:
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "alcove-config-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  std::string write(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name) << content;
    return (path_ / name).string();
  }
  std::string path(const std::string& name = "") const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

TEST(Loader, needs_little) {
  const Settings settings = good(kIdentity + kApps);
  EXPECT_EQ(settings.listen.size(), 1U);
  EXPECT_EQ(settings.listen.at(0).endpoint, default_listen());
  EXPECT_EQ(to_string(settings.admin.endpoint), "127.0.0.1:8081");
  ASSERT_NE(settings.find_app("demo"), nullptr);
  EXPECT_EQ(settings.find_app("demo")->idle_timeout, Millis{600'000});
  EXPECT_TRUE(std::holds_alternative<MemoryStoreSettings>(settings.store));
  EXPECT_TRUE(std::holds_alternative<LocalRuntimeSettings>(settings.runtime));
}

TEST(Loader, reads_every_kind_of_value) {
  const Settings settings = good(R"(
listen: ["127.0.0.1:1", {address: ":2"}]
workers: 3
domains: [Apps.Example.com]
identity:
  - trusted_header: {header: X-Who, from: 10.0.0.0/8}
  - dev: {ttl: 1h30m, secret: 0123456789abcdef}
store: rediss://u:p@h:7/2
runtime: {static: {endpoints: ["127.0.1.1:9000", "[::1]:9000"], shared: true}}
limits: {head_bytes: 16KiB}
admin: {address: ":9", token: sesame}
log: {format: json, level: debug, access: false}
apps:
  a: {path: /a/, strip_path: true, websocket: open, body_limit: 10MiB, quiet_paths: [/x, /y]}
  b: {env: {A: "1", B_2: two}, files: {conf/x.conf: "text"}, max_lifetime: 7d, quiet_paths: /poll}
)");
  EXPECT_EQ(to_string(settings.listen.at(1).endpoint), "[::]:2");
  EXPECT_EQ(settings.workers, 3U);
  EXPECT_THAT(settings.domains, ElementsAre("apps.example.com"));
  EXPECT_EQ(std::get<TrustedHeaderIdentity>(settings.identity.at(0)).from.at(0).text(), "10.0.0.0/8");
  EXPECT_EQ(std::get<DevIdentity>(settings.identity.at(1)).ttl, Millis{5'400'000});
  EXPECT_EQ(std::get<RedisStoreSettings>(settings.store).password, "p");
  EXPECT_EQ(std::get<StaticRuntimeSettings>(settings.runtime).endpoints.size(), 2U);
  EXPECT_EQ(settings.limits.head_bytes, 16U << 10);
  EXPECT_EQ(settings.admin.token, "sesame");
  EXPECT_TRUE(settings.log.json);
  EXPECT_EQ(settings.log.level, "debug");
  EXPECT_EQ(settings.apps.at(0).websocket, WebSocketActivity::open);
  EXPECT_EQ(settings.apps.at(0).body_limit, 10U << 20);
  EXPECT_THAT(settings.apps.at(1).env, ElementsAre(std::pair{"A", "1"}, std::pair{"B_2", "two"}));
  EXPECT_THAT(settings.apps.at(1).quiet_paths, ElementsAre("/poll"));
}

TEST(Loader, says_file_line_key_and_what_would_be_right) {
  EXPECT_THAT(
      faults(kIdentity + "apps:\n  demo:\n    command: [x]\n    idle_timeout: 10 minutes\n"),
      ElementsAre(
          R"(a.yaml:5: apps.demo.idle_timeout: "10 minutes" is not a duration, such as 30s, 10m or 12h)"));
  EXPECT_THAT(faults(kIdentity + "apps: {demo: {command: [x], idle_timeout: 600}}\n"),
              ElementsAre(HasSubstr("\"600\" is not a duration")));
}

TEST(Loader, finds_all_faults_at_once_in_the_order_of_lines) {
  EXPECT_THAT(faults("workers: many\n"
                     "lisen: []\n"
                     "identity: [dev]\n"
                     "limits: {holds: -1}\n"
                     "apps:\n"
                     "  Demo: {}\n"
                     "  two: {path: two, command: [x]}\n"),
              ElementsAre(HasSubstr("a.yaml:1: workers: \"many\" is not a whole number"),
                          HasSubstr("a.yaml:2: lisen: is not a key that is known here; did you mean listen?"),
                          HasSubstr("a.yaml:4: limits.holds: \"-1\" is not a whole number"),
                          HasSubstr("a.yaml:6: apps.Demo: \"Demo\" is not a name for an app"),
                          HasSubstr("a.yaml:7: apps.two.path: \"two\" is not a path prefix")));
}

TEST(Loader, refuses_unknown_keys_with_what_there_is) {
  EXPECT_THAT(
      faults(kIdentity + kApps + "outage: {zzzz: 1s}\n"),
      ElementsAre(HasSubstr("outage.zzzz: is not a key that is known here; there are: serve_known_for")));
  EXPECT_THAT(faults(kIdentity + kApps + "store: memry\n"),
              ElementsAre(HasSubstr("store: must be memory or a Redis URL")));
  EXPECT_THAT(faults(kIdentity + kApps + "runtime: locl\n"),
              ElementsAre(HasSubstr("\"locl\" is not local, static or kubernetes; did you mean local?")));
}

TEST(Loader, refuses_wrong_types) {
  EXPECT_THAT(faults(kIdentity + kApps + "limits: [1]\n"),
              ElementsAre(HasSubstr("limits: must be a mapping")));
  EXPECT_THAT(faults(kIdentity + kApps + "workers: [1]\n"),
              ElementsAre(HasSubstr("workers: must be a whole number, but here is a list")));
  EXPECT_THAT(faults(kIdentity + kApps + "workers:\n"), ElementsAre(HasSubstr("but here is nothing")));
  EXPECT_THAT(faults(kApps + "identity: dev\n"),
              ElementsAre(HasSubstr("identity: must be a list, but here is text")));
  EXPECT_THAT(faults(kIdentity + kApps + "log: {access: maybe}\n"),
              ElementsAre(HasSubstr("is not true or false")));
  EXPECT_THAT(faults(kIdentity + "apps: {demo: {command: python3 -m http.server}}\n"),
              ElementsAre(HasSubstr("apps.demo.command: must be a list, since no shell reads it")));
  EXPECT_THAT(faults(kIdentity + "apps: [demo]\n"), ElementsAre(HasSubstr("apps: must be a mapping")));
  EXPECT_THAT(faults("just text\n"), ElementsAre(HasSubstr("must be a mapping")));
  EXPECT_THAT(faults(kIdentity + kApps + "runtime: {local: {}, static: {}}\n"),
              ElementsAre(HasSubstr("only one of local, static or kubernetes can stand here")));
  EXPECT_THAT(faults(kIdentity + kApps + "runtime: {}\n"),
              ElementsAre(HasSubstr("must be local, static or kubernetes")));
}

TEST(Loader, refuses_values_out_of_range) {
  EXPECT_THAT(faults(kIdentity + kApps + "limits: {head_bytes: 10GiB}\n"),
              ElementsAre(HasSubstr("from 1024 to 1048576")));
  EXPECT_THAT(faults(kIdentity + kApps + "workers: 99999999999999999999\n"),
              ElementsAre(HasSubstr("from 0 to 256")));
  EXPECT_THAT(faults(kIdentity + "apps: {demo: {command: [x], port: 0}}\n"),
              ElementsAre(HasSubstr("from 1 to 65535")));
  EXPECT_THAT(faults(kIdentity + kApps + "timeouts: {connect: 2d}\n"),
              ElementsAre(HasSubstr("from 10ms to 1d")));
}

TEST(Loader, refuses_a_key_that_is_there_twice) {
  EXPECT_THAT(faults("workers: 1\n" + kIdentity + kApps + "workers: 2\n"),
              ElementsAre("a.yaml:4: workers: is here a second time; the first is in line 1"));
  EXPECT_THAT(faults(kIdentity + "apps:\n  a: {command: [x]}\n  a: {command: [x]}\n"),
              ElementsAre(HasSubstr("a.yaml:4: apps.a: is here a second time")));
}

TEST(Loader, says_where_a_file_is_not_yaml) {
  EXPECT_THAT(faults("workers: 1\napps: {a: [\n"), ElementsAre(HasSubstr("is not YAML")));
  EXPECT_THAT(faults("workers: 1\n\tapps: x\n"), ElementsAre(testing::StartsWith("a.yaml:2: is not YAML")));
  EXPECT_THAT(faults("a: \xff\n"), ElementsAre("a.yaml: is not a text in UTF-8"));
  EXPECT_THAT(faults("a: 1\n---\nb: 1\n"),
              ElementsAre("a.yaml:2: a second YAML document begins here, and there must be one"));
  EXPECT_THAT(faults("\"a\" ,:b\n"), ElementsAre(HasSubstr("a second YAML document begins here")))
      << "yaml-cpp 0.7 finds no end of documents in this";
  EXPECT_THAT(faults(std::string(100'000, '[')), ElementsAre(HasSubstr("is not YAML")));
  EXPECT_THAT(faults("a: *nowhere\n"), ElementsAre(HasSubstr("is not YAML")));
}

TEST(Loader, survives_an_alias_to_itself) {
  EXPECT_FALSE(faults("apps: &a {demo: *a}\n").empty());
}

TEST(Loader, says_what_an_empty_file_lacks) {
  EXPECT_THAT(faults(""), testing::UnorderedElementsAre(HasSubstr("identity: nobody could be known"),
                                                        HasSubstr("apps: there are none")));
}

TEST(Loader, says_why_a_file_cannot_be_read) {
  const Directory directory;
  const auto text = [](const std::string& path) {
    return to_string(load_settings(path, no_env).faults.at(0));
  };
  EXPECT_THAT(text(directory.path("none.yaml")), HasSubstr("No such file or directory"));
  EXPECT_THAT(text(directory.path()), HasSubstr("Is a directory"));
  EXPECT_THAT(text(directory.write("big.yaml", std::string(5 << 20, '#'))), HasSubstr("larger than"));
}

TEST(Loader, puts_in_the_environment) {
  const EnvReader env = [](const std::string& name) -> std::optional<std::string> {
    if (name == "PORT") return "9000";
    if (name == "EMPTY") return "";
    return std::nullopt;
  };
  const auto result =
      load_settings_text("listen: '127.0.0.1:${PORT}'\n" + kIdentity +
                             "apps: {a: {command: ['a${EMPTY}b', '$${PORT}', '$PORT', '${PORT}${PORT}']}}\n",
                         "a.yaml", env);
  ASSERT_TRUE(result.settings) << to_string(result.faults.front());
  EXPECT_EQ(result.settings->listen.at(0).endpoint.port(), 9000);
  EXPECT_THAT(result.settings->apps.at(0).command, ElementsAre("ab", "${PORT}", "$PORT", "90009000"));

  EXPECT_THAT(faults(kIdentity + "apps: {a: {command: ['${NO_SUCH}']}}\n"),
              ElementsAre(HasSubstr("apps.a.command[0]: ${NO_SUCH} is not set in the environment")));
  EXPECT_THAT(faults(kIdentity + "apps: {a: {command: ['${half']}}\n"),
              ElementsAre(HasSubstr("is not ${NAME}")));
}

TEST(Loader, reads_secrets_from_files) {
  const Directory directory;
  const std::string token = directory.write("token", "a-long-token\n");
  const std::string url = directory.write("url", "redis://:pw@127.0.0.1:1/0\n");
  const Settings settings =
      good(kIdentity + kApps + "admin: {token: 'file:" + token + "'}\nstore: 'file:" + url + "'\n");
  EXPECT_EQ(settings.admin.token, "a-long-token");
  EXPECT_EQ(std::get<RedisStoreSettings>(settings.store).password, "pw");

  const auto with_token = [](const std::string& text) {
    return kIdentity + kApps + "admin: {token: '" + text + "'}\n";
  };
  EXPECT_THAT(faults(with_token("file:" + directory.path("none"))), ElementsAre(HasSubstr("No such file")));
  EXPECT_THAT(faults(with_token("file:relative")), ElementsAre(HasSubstr("absolute path")));
  EXPECT_THAT(faults(with_token("file:" + directory.write("empty", "\n"))),
              ElementsAre(HasSubstr("is empty")));
}

TEST(Loader, never_repeats_a_secret) {
  const std::string text = "identity: [{dev: {secret: hunter2}}]\nadmin: {token: 'hunter2 hunter2'}\n" +
                           kApps + "store: redis://:hunter2@h:x/0\n";
  EXPECT_EQ(faults(text).size(), 3U);
  for (const std::string& fault : faults(text)) EXPECT_THAT(fault, testing::Not(HasSubstr("hunter2")));
}

TEST(Conflicts, of_addresses_are_found) {
  EXPECT_THAT(faults(kIdentity + kApps + "listen: ['127.0.0.1:80', '127.0.0.1:80']\n"),
              ElementsAre(HasSubstr("listen[1]: 127.0.0.1:80 is taken by listen[0] already")));
  EXPECT_THAT(faults(kIdentity + kApps + "listen: [':80', '127.0.0.1:80']\n"),
              ElementsAre(HasSubstr("is taken")));
  EXPECT_THAT(faults(kIdentity + kApps + "listen: '0.0.0.0:8081'\n"),
              ElementsAre(HasSubstr("admin.address: 127.0.0.1:8081 is taken")));
  EXPECT_THAT(faults(kIdentity + kApps + "listen: ['127.0.0.1:0', '127.0.0.1:0']\n"), IsEmpty());
  EXPECT_THAT(faults(kIdentity + kApps + "listen: []\n"),
              ElementsAre(HasSubstr("needs at least one address")));
  EXPECT_THAT(faults(kIdentity + kApps + "listen: localhost\n"),
              ElementsAre(HasSubstr("is not ADDRESS:PORT")));
}

TEST(Conflicts, of_paths_are_found) {
  EXPECT_THAT(faults(kIdentity + "apps:\n  a: {command: [x], path: /x/}\n  b: {command: [x], path: /x}\n"),
              ElementsAre(HasSubstr("a.yaml:4: apps.b.path: \"/x\" belongs to the app a already")));
  EXPECT_THAT(faults(kIdentity + "apps: {a: {command: [x], path: /.alcove/x}}\n"),
              ElementsAre(HasSubstr("Alcove's own")));
}

TEST(Conflicts, of_admin_and_identity_are_found) {
  EXPECT_THAT(
      faults(kIdentity + kApps + "admin: {address: '0.0.0.0:9'}\n"),
      ElementsAre(HasSubstr("admin.address: 0.0.0.0:9 can be reached from other machines: set admin.token")));
  EXPECT_THAT(faults(kApps + "identity: []\n"), ElementsAre(HasSubstr("nobody could be known")));
  EXPECT_THAT(faults(kApps + "identity: [{trusted_header: {}}]\n"),
              ElementsAre(HasSubstr("needs the addresses")));
  EXPECT_THAT(faults(kApps + "identity: [{trusted_header: {header: Host, from: 127.0.0.1}}]\n"),
              ElementsAre(HasSubstr("has a meaning of its own")));
  EXPECT_THAT(faults(kApps + "identity: [{trusted_header: {header: 'X Y', from: 127.0.0.1}}]\n"),
              ElementsAre(HasSubstr("is not a header name")));
  EXPECT_THAT(faults(kApps + "identity: [dev, dev]\n"), ElementsAre(HasSubstr("in the list already")));
}

TEST(Conflicts, of_a_jwt_are_found) {
  const auto jwt = [](const std::string& keys) {
    return kIdentity + "apps: {a: {command: [x], identity_jwt: {" + keys + "}}}\n";
  };
  const std::string secret(32, 's');
  EXPECT_EQ(good(jwt("secret: " + secret + ", ttl: 1m, header: X-Proof")).apps.at(0).identity_jwt,
            (IdentityJwtSettings{"X-Proof", secret, Millis{60'000}}));
  EXPECT_THAT(faults(jwt("secret: sixteen bytes...")), ElementsAre(HasSubstr("at least 32 bytes")));
  EXPECT_THAT(faults(jwt("header: 'X Y'")), ElementsAre(HasSubstr("is not a header name")));
  EXPECT_THAT(faults(jwt("header: x-alcove-user")), ElementsAre(HasSubstr("is the identity_header already")));
  EXPECT_THAT(faults(jwt("ttl: 1s")), ElementsAre(HasSubstr("apps.a.identity_jwt.ttl")));
}

TEST(Conflicts, of_runtimes_are_found) {
  EXPECT_THAT(faults(kIdentity + "apps: {a: {}}\n"),
              ElementsAre(HasSubstr("apps.a.command: the local runtime needs to know what to run")));
  EXPECT_THAT(faults(kIdentity + "apps: {a: {}}\nruntime: static\n"),
              ElementsAre(HasSubstr("needs the endpoints to hand out")));
  EXPECT_THAT(
      faults(kIdentity + "apps: {a: {}}\nruntime: {static: {endpoints: ['127.0.0.1:1', '127.0.0.1:1']}}\n"),
      ElementsAre(HasSubstr("in the list already")));
  EXPECT_THAT(faults(kIdentity + "apps: {a: {}}\nruntime: {static: {endpoints: ['127.0.0.1:8080']}}\n"),
              ElementsAre(HasSubstr("where Alcove itself listens")));
  for (const char* network : {"10.0.0.0/8", "127.0.0.0", "127.0.0.0/31", "127.0.0.0/4", "x"})
    EXPECT_THAT(faults(kIdentity + kApps + "runtime: {local: {network: '" + network + "'}}\n"),
                ElementsAre(HasSubstr("is not a loopback network")))
        << network;
}

TEST(Conflicts, of_times_are_found) {
  EXPECT_THAT(faults(kIdentity + "apps: {a: {command: [x], idle_timeout: 1s}}\n"),
              ElementsAre(HasSubstr("must be at least two activity intervals (2s)")));
  EXPECT_THAT(faults(kIdentity + kApps + "outage: {serve_known_for: 1s}\n"),
              ElementsAre(HasSubstr("at least two activity")));
  EXPECT_THAT(faults(kIdentity + kApps + "provisioner: {retry_first: 10m}\n"),
              ElementsAre(HasSubstr("not be longer than retry_most")));
}

TEST(Conflicts, that_follow_from_another_fault_are_not_named) {
  EXPECT_THAT(faults(kApps + "identity: [{trusted_header: {from: 300.0.0.1}}]\n"),
              ElementsAre(HasSubstr("300.0.0.1")));
  EXPECT_THAT(faults(kIdentity + "apps: {a: {command: {x: y}}}\n"),
              ElementsAre(HasSubstr("apps.a.command: must be a list")));
}

TEST(Names, that_cannot_be_used_are_refused) {
  EXPECT_THAT(faults(kIdentity + "apps: {a: {command: [x], env: {A-B: x}}}\n"),
              ElementsAre(HasSubstr("a name for a variable")));
  for (const char* path : {"../x", "/x", "a//b", "a/", ".", "a/../../b"})
    EXPECT_THAT(faults(kIdentity + "apps: {a: {command: [x], files: {\"" + path + "\": x}}}\n"),
                ElementsAre(HasSubstr("a path inside the working directory")))
        << path;
  for (const char* domain : {"", "a b", "*.x", "x:80", ".x", "x..y"})
    EXPECT_THAT(faults(kIdentity + kApps + "domains: ['" + domain + "']\n"),
                testing::Contains(HasSubstr("is not a domain")))
        << domain;
  EXPECT_THAT(faults(kIdentity + "apps: {a: {command: [\"a\\0b\"]}}\n"),
              ElementsAre(HasSubstr("without NUL")));
}

TEST(Names, that_cannot_be_shown_make_no_fault_unreadable) {
  for (const char* text :
       {"apps: {\"a\\eb\": {path: /x}}\n", "apps: {\"a\\nb\": {path: /x}, \"c\\0d\": {path: /x}}\n",
        "apps: {a: \"\\\x01\"}\n",
        "listen: [{address: '127.0.0.1:1', tls: {certificate: \"/\\e\", key: \"/\\n\"}}]\n"}) {
    const std::vector<std::string> found = faults(kIdentity + text);
    EXPECT_THAT(found, testing::Not(IsEmpty()));
    for (const std::string& fault : found)
      EXPECT_EQ(fault.find_first_of("\x01\x1b\n"), std::string::npos) << testing::PrintToString(fault);
  }
  EXPECT_THAT(faults(kIdentity + "apps: {\"a\\eb\": {}}\n"),
              ElementsAre(HasSubstr("is not a name for an app")))
      << "that it has no command follows from it";
}

TEST(Tls, files_are_looked_at) {
  const Directory directory;
  const auto listen = [](const std::string& certificate, const std::string& key) {
    return kIdentity + kApps + "listen: [{address: '127.0.0.1:1', tls: {certificate: '" + certificate +
           "', key: '" + key + "'}}]\n";
  };
  const std::string text = directory.write("text", "no certificate\n");
  EXPECT_THAT(
      faults(listen(directory.path("none"), text)),
      ElementsAre(testing::AllOf(HasSubstr("listen[0].tls.certificate: "), HasSubstr("No such file"))));
  EXPECT_THAT(faults(listen(text, directory.path("none"))), ElementsAre(HasSubstr("listen[0].tls.key: ")));
  EXPECT_THAT(faults(listen(text, text)), ElementsAre(HasSubstr("is no PEM certificate chain")));
  EXPECT_THAT(faults(kIdentity + kApps + "listen: [{address: '127.0.0.1:1', tls: {key: x}}]\n"),
              ElementsAre(HasSubstr("needs certificate and key")));
}

TEST(Warnings, are_for_what_runs_but_not_as_meant) {
  EXPECT_THAT(warnings(kIdentity + kApps), IsEmpty());
  EXPECT_THAT(warnings(kIdentity + kApps + "listen: ':8080'\n"),
              ElementsAre(HasSubstr("dev believes every name")));
  EXPECT_THAT(warnings(kIdentity + kApps + "store: redis://h\n"), ElementsAre(HasSubstr("set dev.secret")));
  EXPECT_THAT(warnings(kIdentity + "apps: {a: {command: [x], hold_timeout: 1s}}\n"),
              ElementsAre(HasSubstr("waiting page")));
}

TEST(Defaults, run_the_demo_for_who_is_on_this_machine) {
  const SettingsPtr settings = default_settings("/opt/alcove/alcove");
  ASSERT_EQ(settings->apps.size(), 1U);
  EXPECT_THAT(settings->apps.at(0).command,
              ElementsAre("/opt/alcove/alcove-demo", "--listen", "{address}:{port}"));
  EXPECT_EQ(to_string(settings->listen.at(0).endpoint), "127.0.0.1:8080");
  EXPECT_EQ(to_string(settings->admin.endpoint), "127.0.0.1:8081");
  EXPECT_EQ(settings->identity.size(), 2U);
}

const std::string kKubernetes = kIdentity + "runtime: kubernetes\n";

TEST(LoaderKubernetes, reads_every_kind_of_value) {
  const std::string text = kIdentity + R"(
runtime: {kubernetes: {namespace: sandboxes, instance: blue, kubeconfig: /k, context: c, force_after: 5s}}
apps:
  demo:
    kubernetes:
      image: app:1
      pull: if_not_present
      command: [/bin/app, "{port}"]
      ports: {metrics: 9090}
      secret_env: {TOKEN: keys/token}
      limits: {memory: 512Mi}
      tolerations: [{key: pool, value: users, effect: NoSchedule}, {key: gpu}]
      volumes:
        home: {path: /home, claim: {size: 2Gi, storage_class: "", keep: false}}
        tmp: {path: /tmp, empty: {memory: true}}
      run_as_user: 1000
      labels: {example.com/team: red}
      pod:
        spec:
          hostNetwork: false
          terminationGracePeriodSeconds: 7
          containers:
            - {name: app, env: [{name: A, value: "7"}, {name: B, value: "true"}, {name: C, value: "${HOME}"}]}
)";
  const LoadResult result = load_settings_text(
      text, "a.yaml", [](const std::string&) { return std::optional<std::string>("/home/of"); });
  for (const LoadError& fault : result.faults) ADD_FAILURE() << to_string(fault);
  ASSERT_TRUE(result.settings);
  const Settings& settings = *result.settings;
  const auto& runtime = std::get<KubernetesRuntimeSettings>(settings.runtime);
  EXPECT_EQ(runtime.pods_namespace, "sandboxes");
  EXPECT_EQ(runtime.instance, "blue");
  EXPECT_EQ(runtime.force_after, Millis{5'000});
  const KubernetesAppSettings& app = settings.apps.at(0).kubernetes;
  EXPECT_EQ(app.image, "app:1");
  EXPECT_EQ(app.pull, ImagePull::if_not_present);
  EXPECT_THAT(app.command, ElementsAre("/bin/app", "{port}"));
  EXPECT_EQ(app.ports.at(0).second, 9090);
  EXPECT_FALSE(app.tolerations.at(0).exists);
  EXPECT_TRUE(app.tolerations.at(1).exists);
  const auto& claim = std::get<ClaimVolume>(app.volumes.at(0).source);
  EXPECT_EQ(claim.storage_class, "");
  EXPECT_FALSE(claim.keep);
  EXPECT_TRUE(std::get<EmptyVolume>(app.volumes.at(1).source).memory);
  EXPECT_EQ(
      app.pod,
      R"({"spec":{"containers":[{"env":[{"name":"A","value":"7"},{"name":"B","value":"true"},)"
      R"({"name":"C","value":"/home/of"}],"name":"app"}],"hostNetwork":false,"terminationGracePeriodSeconds":7}})");
}

TEST(LoaderKubernetes, says_what_is_missing_for_the_runtime_that_was_chosen) {
  EXPECT_THAT(
      faults(kKubernetes + kApps),
      ElementsAre(HasSubstr("apps.demo.kubernetes.image: the Kubernetes runtime needs to know what to run")));
  EXPECT_THAT(faults(kIdentity + "apps: {demo: {kubernetes: {image: x}}}\n"),
              ElementsAre(HasSubstr("apps.demo.command: the local runtime needs to know what to run")));
  good(kKubernetes + "apps: {demo: {command: [x], kubernetes: {image: x}}}\n");
  good(kIdentity + "apps: {demo: {command: [x], kubernetes: {image: x}}}\n");
}

TEST(LoaderKubernetes, refuses_what_the_api_would_refuse_with_its_line_and_key) {
  const auto with = [](const std::string& line) {
    return faults(kKubernetes + "apps:\n  demo:\n    kubernetes:\n      image: x\n      " + line + "\n");
  };
  EXPECT_THAT(
      with("requests: {cpu: lots}"),
      ElementsAre("a.yaml:7: apps.demo.kubernetes.requests.cpu: \"lots\" is not a quantity, such as 500m, 2, "
                  "512Mi or 1Gi"));
  EXPECT_THAT(with("labels: {team: a b}"),
              ElementsAre(HasSubstr("labels.team: \"a b\" is not a label's value")));
  EXPECT_THAT(with("labels: {alcove/user: x}"), ElementsAre(HasSubstr("are Alcove's own")));
  EXPECT_THAT(with("secret_env: {A: token}"), ElementsAre(HasSubstr("is not SECRET/KEY")));
  EXPECT_THAT(with("command: [x, \"{user}\"]"), ElementsAre(HasSubstr("finds it in ALCOVE_USER")));
  EXPECT_THAT(with("mount_token: true"), ElementsAre(HasSubstr("needs a service_account")));
  EXPECT_THAT(with("service_account: No_Name"), ElementsAre(HasSubstr("is not a name of an object")));
  EXPECT_THAT(with("tolerations: [{effect: Never}]"), ElementsAre(HasSubstr("tolerations[0].effect")));
  EXPECT_THAT(with("volumes: {a: {path: /a}}"), ElementsAre(HasSubstr("needs one of empty, claim")));
  EXPECT_THAT(with("volumes: {a: {path: /a, empty: {}, secret: s}}"),
              ElementsAre(HasSubstr("needs one of empty")));
  EXPECT_THAT(with("volumes: {a: {path: a, empty: {}}}"), ElementsAre(HasSubstr("is not an absolute path")));
  EXPECT_THAT(with("volumes: {a: {empty: {}}}"),
              ElementsAre(HasSubstr("needs the path at which it is mounted")));
  EXPECT_THAT(with("volumes: {a: {path: /a, empty: {}}, b: {path: /a, empty: {}}}"),
              ElementsAre(HasSubstr("belongs to the volume a already")));
  EXPECT_THAT(with("volumes: {a: {path: /a, claim: {size: big}}}"), ElementsAre(HasSubstr("claim.size")));
  EXPECT_THAT(with("ports: {Web: 1}"), ElementsAre(HasSubstr("is not a name for a port")));
  EXPECT_THAT(with("pod: [a]"), ElementsAre(HasSubstr("must be a mapping")));
  EXPECT_THAT(with("pod: {spec: {a: 1, a: 2}}"), ElementsAre(HasSubstr("\"a\" is here a second time")));
  EXPECT_THAT(with("pod: &a {b: *a, c: *a}"), ElementsAre(HasSubstr("is nested too deeply")));
  EXPECT_THAT(with("pod: {spec: {a: \"${NOPE}\"}}"), ElementsAre(HasSubstr("${NOPE} is not set")));
  EXPECT_THAT(faults(kIdentity + kApps + "runtime: {kubernetes: {instance: A_B}}\n"),
              testing::Contains(HasSubstr("runtime.kubernetes.instance")));
}

}  // namespace
}  // namespace alcove
