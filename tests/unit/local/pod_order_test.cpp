#include "local/pod_order.hpp"

#include "tests/support/local_bench.hpp"

#include <fstream>
#include <sstream>

namespace alcove {
namespace {

class PodOrderTest : public testing::Test {
 protected:
  PodOrderTest() {
    spec.name = {SessionKey("demo", "ada"), 3};
    spec.user = "ada@example.com";
    spec.app.name = "demo";
    spec.app.command = {"sh"};
    place.endpoint = parse_endpoint("127.96.1.2:8080").value();
    place.directory = directory.path();
    place.uid = "local-x-1";
  }
  std::string refusal() const {
    const Result<PodOrder> order = order_for(spec, place);
    return order ? "" : order.error().text;
  }
  std::string variable(const PodOrder& order, const std::string& name) const {
    for (const std::string& entry : order.environment)
      if (entry.starts_with(name + "=")) return entry.substr(name.size() + 1);
    return "(none)";
  }

  test::TemporaryDirectory directory;
  PodSpec spec;
  PodPlace place;
};

TEST_F(PodOrderTest, placeholders_are_filled_in_and_other_braces_stay) {
  EXPECT_EQ(fill_in("{address}:{port} {user} {session} {dir}", spec, place),
            "127.96.1.2:8080 ada@example.com demo/ada " + directory.path());
  EXPECT_EQ(fill_in("{ \"a\": {b} } {port} {", spec, place), "{ \"a\": {b} } 8080 {");
  EXPECT_EQ(fill_in("{{port}}", spec, place), "{8080}");
}

TEST_F(PodOrderTest, user_name_that_looks_like_a_placeholder_is_not_filled_in_again) {
  spec.user = "{dir}";
  EXPECT_EQ(fill_in("hello {user}", spec, place), "hello {dir}");
}

TEST_F(PodOrderTest, environment_is_clean_and_says_who_and_where) {
  ::setenv("ALCOVE_TEST_SECRET", "s3cret", 1);
  ::setenv("TERM", "xterm", 1);
  spec.app.env = {{"GREETING", "hello {user}"}, {"LANG", "de_DE.UTF-8"}, {"ALCOVE_POD", "mine"}};
  const PodOrder order = order_for(spec, place).value();
  EXPECT_EQ(variable(order, "ALCOVE_TEST_SECRET"), "(none)");
  EXPECT_EQ(variable(order, "TERM"), "(none)");
  EXPECT_EQ(variable(order, "HOME"), directory.path());
  EXPECT_EQ(variable(order, "ADDRESS"), "127.96.1.2");
  EXPECT_EQ(variable(order, "PORT"), "8080");
  EXPECT_EQ(variable(order, "ALCOVE_USER"), "ada@example.com");
  EXPECT_EQ(variable(order, "ALCOVE_SESSION"), "demo/ada");
  EXPECT_EQ(variable(order, "ALCOVE_GENERATION"), "3");
  EXPECT_EQ(variable(order, "GREETING"), "hello ada@example.com");
  EXPECT_EQ(variable(order, "LANG"), "de_DE.UTF-8") << "the app's own settings win";
  EXPECT_EQ(variable(order, "ALCOVE_POD"), "local-x-1") << "but not over the mark by which pods are found";
}

TEST_F(PodOrderTest, command_that_does_not_exist_is_named) {
  spec.app.command = {"no-such-program-here"};
  EXPECT_NE(refusal().find("command \"no-such-program-here\" was not found in PATH"), std::string::npos);
  spec.app.command = {"/no/such/program"};
  EXPECT_NE(refusal().find("\"/no/such/program\" does not exist"), std::string::npos);
  spec.app.command = {};
  EXPECT_NE(refusal().find("app demo has no command"), std::string::npos);
  spec.app.command = {"{dir}/none"};
  EXPECT_NE(refusal().find("does not exist"), std::string::npos);
}

TEST_F(PodOrderTest, files_are_written_below_the_directory_and_nowhere_else) {
  spec.app.files = {{"conf/app.conf", "listen {address}:{port};\n"}, {"run.sh", "#!/bin/sh\n"}};
  spec.app.command = {"./run.sh"};
  const PodOrder order = order_for(spec, place).value();
  EXPECT_EQ(order.program, directory.path() + "/run.sh");
  ASSERT_TRUE(write_files(order, place.directory));
  std::ifstream in(directory.path() + "/conf/app.conf");
  std::ostringstream text;
  text << in.rdbuf();
  EXPECT_EQ(text.str(), "listen 127.96.1.2:8080;\n");
  EXPECT_EQ(::access((directory.path() + "/run.sh").c_str(), X_OK), 0);
  for (const char* name : {"../out", "/etc/out", "a/../../out", "", "."}) {
    spec.app.files = {{name, "x"}};
    EXPECT_NE(refusal().find("inside the working directory"), std::string::npos) << name;
  }
}

TEST_F(PodOrderTest, user_name_with_slashes_cannot_lead_a_file_out_of_the_directory) {
  spec.user = "../../etc";
  spec.app.files = {{"{user}/passwd", "x"}};
  EXPECT_NE(refusal().find("inside the working directory"), std::string::npos);
}

TEST_F(PodOrderTest, command_too_long_for_the_guard_is_refused_in_words) {
  spec.app.env = {{"LONG", std::string(400'000, 'x')}};
  EXPECT_NE(refusal().find("longer than"), std::string::npos);
}

}  // namespace
}  // namespace alcove
