#include "proxy/route.hpp"

#include <gtest/gtest.h>

namespace alcove::proxy {
namespace {

using namespace std::string_literals;
using Kind = Route::Kind;

AppSettings app(std::string name, std::string path = {}, bool strip = false) {
  AppSettings out;
  out.name = std::move(name);
  out.path = std::move(path);
  out.strip_path = strip;
  return out;
}

SettingsPtr settings(std::vector<AppSettings> apps, std::vector<std::string> domains = {"example.com"}) {
  auto out = std::make_shared<Settings>();
  out->apps = std::move(apps);
  out->domains = std::move(domains);
  return out;
}

TEST(host_name, is_lower_case_without_port_brackets_and_last_dot) {
  EXPECT_EQ(host_name("Demo.Example.COM"), "demo.example.com");
  EXPECT_EQ(host_name("demo.example.com:8080"), "demo.example.com");
  EXPECT_EQ(host_name("demo.example.com:"), "demo.example.com");  // RFC 3986 3.2.3: an empty port is a port
  EXPECT_EQ(host_name("demo.example.com.:80"), "demo.example.com");
  EXPECT_EQ(host_name("my_host-1"), "my_host-1");
  EXPECT_EQ(host_name("127.0.0.1:65535"), "127.0.0.1");
  EXPECT_EQ(host_name("[::1]"), "::1");
  EXPECT_EQ(host_name("[2001:DB8:0::1]:8080"), "2001:db8::1");
}

TEST(host_name, refuses_malformed_hosts) {
  for (const std::string& host : {""s,
                                  "."s,
                                  ".."s,
                                  ":80"s,
                                  "a..b"s,
                                  ".a"s,
                                  "a.."s,
                                  "a:x"s,
                                  "a:65536"s,
                                  "a:-1"s,
                                  "a:80:80"s,
                                  "::1"s,
                                  "[::1"s,
                                  "[]"s,
                                  "[::1]x"s,
                                  "[::1]:x"s,
                                  "[127.0.0.1]"s,
                                  "[fe80::1%25lo]"s,
                                  "[::1]80"s,
                                  "user@a"s,
                                  "a b"s,
                                  "a/b"s,
                                  "a\\b"s,
                                  "a?b"s,
                                  "a#b"s,
                                  "a%2eb"s,
                                  "é.com"s,
                                  "a\0b"s,
                                  "a\tb"s,
                                  "*.com"s,
                                  "[::1\0]"s,
                                  std::string(254, 'a')})
    EXPECT_EQ(host_name(host), "") << host;
}

TEST(route, a_subdomain_is_an_app) {
  const Router router(settings({app("demo"), app("notebook")}));
  for (const std::string_view host : {"demo.example.com", "DEMO.Example.com:8080", "demo.example.com."}) {
    const Route route = router.route(host, "/a/b?c=/.alcove/");
    ASSERT_EQ(route.kind, Kind::app) << host;
    EXPECT_EQ(route.app->name, "demo");
    EXPECT_EQ(route.strip, 0U);
  }
}

TEST(route, a_double_dash_is_an_environment) {
  const Router router(settings({app("demo")}));
  const Route route = router.route("Ada-Dev--team-red.example.com", "/");
  EXPECT_EQ(route.kind, Kind::environment);
  EXPECT_EQ(route.name, "ada-dev");
  EXPECT_EQ(route.scope, "team-red");
  EXPECT_EQ(route.app, nullptr);
}

TEST(route, an_environments_halves_must_be_labels) {
  const Router router(settings({app("demo")}));
  for (const std::string_view host :
       {"--team.example.com", "ada--.example.com", "--.example.com", "a--b--c.example.com",
        "ada---team.example.com", "a_b--team.example.com", "x.ada--team.example.com"})
    EXPECT_EQ(router.route(host, "/").kind, Kind::nothing) << host;
}

TEST(route, the_longest_domain_counts) {
  const Router router(settings({app("demo"), app("apps")}, {"example.com", "apps.example.com", "LOCALHOST"}));
  EXPECT_EQ(router.route("demo.apps.example.com", "/").app->name, "demo");
  EXPECT_EQ(router.route("demo.localhost:8080", "/").app->name, "demo");
  EXPECT_EQ(router.route("apps.example.com", "/").kind,
            Kind::nothing);  // a domain itself, not the app in the other
}

TEST(route, a_domain_matches_on_dots_only) {
  const Router router(settings({app("demo")}));
  EXPECT_EQ(router.route("demoexample.com", "/").kind, Kind::nothing);
  EXPECT_EQ(router.route("demo.evil-example.com", "/").kind, Kind::nothing);
  EXPECT_EQ(router.route("demo.example.com.evil.org", "/").kind, Kind::nothing);
  EXPECT_EQ(router.route("a.demo.example.com", "/").kind, Kind::nothing);
}

TEST(route, the_longest_path_prefix_on_whole_segments_counts) {
  const Router router(
      settings({app("files", "/files"), app("deep", "/files/deep/", true), app("notebook", "/nb/", true)}));
  const auto name = [&](std::string_view path) {
    const Route route = router.route("10.0.0.7:8080", path);
    return route.kind == Kind::app ? route.app->name : "none";
  };
  EXPECT_EQ(name("/files"), "files");
  EXPECT_EQ(name("/files/"), "files");
  EXPECT_EQ(name("/files?x=/files/deep"), "files");
  EXPECT_EQ(name("/files/deeper"), "files");
  EXPECT_EQ(name("/files/deep/x"), "deep");
  EXPECT_EQ(name("/nb"), "notebook");
  EXPECT_EQ(name("/nbx"), "none");
  EXPECT_EQ(name("/NB/"), "none");
  EXPECT_EQ(name("/"), "none");
  EXPECT_EQ(name("*"), "none");
  EXPECT_EQ(name(""), "none");
}

TEST(route, strips_what_the_pod_shall_not_see) {
  const Router router(
      settings({app("files", "/files"), app("notebook", "/nb/", true), app("rest", "/", true)}));
  EXPECT_EQ(router.route("h", "/files/x").strip, 0U);
  EXPECT_EQ(router.route("h", "/nb/tree?x").strip, 3U);
  EXPECT_EQ(router.route("h", "/nb").strip, 3U);
  EXPECT_EQ(router.route("h", "/nb?x").strip, 3U);
  EXPECT_EQ(router.route("h", "/other").strip, 0U);
  EXPECT_EQ(router.route("h", "/other").app->name, "rest");
}

TEST(route, path_prefixes_hold_on_every_host_but_an_apps_own) {
  const Router router(settings({app("demo"), app("notebook", "/nb/")}));
  for (const std::string_view host :
       {"example.com", "10.0.0.7", "[::1]:8080", "anything.org", "unknown.example.com"})
    EXPECT_EQ(router.route(host, "/nb/").app->name, "notebook") << host;
  EXPECT_EQ(router.route("demo.example.com", "/nb/").app->name, "demo");
  EXPECT_EQ(router.route("ada--team.example.com", "/nb/").kind, Kind::environment);
}

TEST(route, own_pages_know_the_app_of_their_host) {
  const Router router(settings({app("demo")}));
  Route route = router.route("demo.example.com", "/.alcove/wait?session=other%2Fada");
  EXPECT_EQ(route.kind, Kind::own);
  EXPECT_EQ(route.app->name, "demo");
  route = router.route("ada--team.example.com", "/.alcove/events");
  EXPECT_EQ(route.kind, Kind::own);
  EXPECT_EQ(route.scope, "team");
  EXPECT_EQ(route.name, "ada");
  route = router.route("example.com", "/.alcove/sign-in");
  EXPECT_EQ(route.kind, Kind::own);
  EXPECT_EQ(route.app, nullptr);
}

TEST(route, own_pages_are_only_where_users_may_need_them) {
  EXPECT_EQ(Router(settings({app("demo")})).route("anything.org", "/.alcove/sign-in").kind, Kind::nothing);
  EXPECT_EQ(Router(settings({app("demo")})).route("unknown.example.com", "/.alcove/sign-in").kind,
            Kind::nothing);
  EXPECT_EQ(Router(settings({app("demo", "/demo/")})).route("10.0.0.7", "/.alcove/sign-in").kind, Kind::own);
  EXPECT_EQ(Router(settings({app("demo", "/")})).route("10.0.0.7", "/.alcove/sign-in").kind, Kind::own);
}

TEST(route, only_the_whole_own_prefix_is_ours) {
  const Router router(settings({app("demo")}));
  for (const std::string_view path : {"/.alcove", "/.alcovex/", "/x/.alcove/", "/?/.alcove/", "/%2ealcove/"})
    EXPECT_EQ(router.route("demo.example.com", path).kind, Kind::app) << path;
}

TEST(route, says_what_is_there_instead) {
  const Router router(settings({app("demo"), app("notebook")}));
  EXPECT_EQ(router.route("foo.example.com", "/").why,
            "no app is called \"foo\" here; there are: demo, notebook");
  EXPECT_EQ(
      router.route("example.com:8080", "/").why,
      "there is nothing at this address; apps are at: demo.example.com:8080, notebook.example.com:8080");
  EXPECT_EQ(
      router.route("10.0.0.7", "/").why,
      "\"10.0.0.7\" is not a host of this gateway; apps are at: demo.example.com, notebook.example.com");
  EXPECT_EQ(router.route("a\r\nb", "/").why, "\"a\\x0d\\x0ab\" is not a valid host name");
}

TEST(route, names_a_few_apps_of_many) {
  std::vector<AppSettings> many;
  for (int i = 0; i < 40; ++i) many.push_back(app("app" + std::to_string(i)));
  EXPECT_EQ(Router(settings(std::move(many))).route("foo.example.com", "/").why,
            "no app is called \"foo\" here; there are: app0, app1, app2, app3, app4 and 35 more");
}

TEST(route, bears_settings_without_apps_or_domains) {
  EXPECT_EQ(Router(settings({})).route("foo.example.com", "/").why, "no app is called \"foo\" here");
  EXPECT_EQ(Router(settings({}, {})).route("foo.example.com", "/").kind, Kind::nothing);
  EXPECT_EQ(Router(settings({}, {"", "..."})).route("", "/").kind, Kind::malformed);
}

}  // namespace
}  // namespace alcove::proxy
