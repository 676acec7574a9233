#include "alcove/command_line.hpp"

#include "base/text.hpp"
#include "config/units.hpp"

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include <algorithm>

namespace alcove {
namespace {

constexpr int kUsage = 2;

void add_run_options(CLI::App& command, CommandLine& out, bool listens, bool config_required) {
  auto* config = command
                     .add_option("-c,--config", out.config,
                                 "Configuration file (YAML); `alcove check FILE` tells what is wrong with it")
                     ->envname("ALCOVE_CONFIG")
                     ->type_name("FILE");
  if (config_required) config->required();
  if (listens)
    command
        .add_option("--listen", out.overrides.listen,
                    "Listen here, in place of the config's `listen` (can be given again)")
        ->type_name("ADDRESS:PORT")
        ->allow_extra_args(false);
  command
      .add_option("--admin-listen", out.overrides.admin_listen, "Admin listener, in place of `admin.address`")
      ->type_name("ADDRESS:PORT");
  command.add_option("--store", out.overrides.store, "In place of `store`: memory or redis://HOST:PORT/0")
      ->type_name("STORE");
  command
      .add_option("--state", out.overrides.state, "State directory, in place of `runtime.local.directory`")
      ->type_name("DIRECTORY");
  if (listens)
    command
        .add_option("--workers", out.overrides.workers, "Threads that serve clients, in place of `workers`")
        ->check(CLI::Range(0, 256));
  command.add_option("--log-format", out.overrides.log_format, "In place of `log.format`")
      ->check(CLI::IsMember({"human", "json"}));
  command.add_option("--log-level", out.overrides.log_level, "In place of `log.level`")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}));
}

void add_client_options(CLI::App& command, CommandLine& out) {
  command.add_flag("--json", out.json, "Print JSON, for programs");
  command.add_option("--admin", out.admin, "Admin listener of the alcove to ask")
      ->envname("ALCOVE_ADMIN")
      ->type_name("ADDRESS:PORT")
      ->default_val("127.0.0.1:8081");
  command.add_option("--token", out.token, "Its token, or file:/path of it")
      ->envname("ALCOVE_TOKEN")
      ->type_name("TOKEN");
}

CLI::App* add_key(CLI::App* command, CommandLine& out) {
  command->add_option("key", out.name, "Session, such as demo/ada")->required()->type_name("KEY");
  return command;
}

// "alcove frob": what CLI11 would call a missing subcommand.
std::string unknown_command(const CLI::App& app, const std::string& word) {
  if (word.starts_with('-')) return {};
  std::vector<std::string> known;
  for (const CLI::App* command : app.get_subcommands({})) known.push_back(command->get_name());
  if (std::find(known.begin(), known.end(), word) != known.end()) return {};
  std::string text = "alcove: there is no command \"" + printable(word, 40) + "\"";
  const std::string_view near = nearest(word, known);
  if (!near.empty()) return text + "; did you mean " + std::string(near) + "?";
  text += "; there are:";
  for (const std::string& name : known) text += " " + name;
  return text;
}

}  // namespace

CommandLine parse_command_line(int argc, char** argv) {
  CommandLine out;
  CLI::App app{
      "Alcove gives every user a pod of their own: it starts when they arrive and goes when they leave.",
      "alcove"};
  app.require_subcommand(1);
  const std::string run = "Run";
  const std::string people = "See and change what runs";
  CLI::App* up =
      app.add_subcommand("up",
                         "Run everything in this process; without a configuration, the demo on port 8080")
          ->group(run);
  add_run_options(*up, out, true, false);
  CLI::App* gateway =
      app.add_subcommand("gateway", "Run the gateway alone: takes requests to pods (needs a Redis store)")
          ->group(run);
  add_run_options(*gateway, out, true, true);
  gateway->add_flag("--take-over", out.take_over,
                    "Take the listening sockets over from the gateway that listens on `takeover`: a restart "
                    "that refuses no connection");
  CLI::App* provisioner =
      app.add_subcommand("provisioner", "Run the provisioner alone: starts pods (needs a Redis store)")
          ->group(run);
  add_run_options(*provisioner, out, false, true);
  CLI::App* reaper =
      app.add_subcommand("reaper", "Run the reaper alone: stops idle pods (needs a Redis store)")->group(run);
  add_run_options(*reaper, out, false, true);
  CLI::App* api =
      app.add_subcommand("api",
                         "Run the admin listener alone: for people and monitoring (needs a Redis store)")
          ->group(run);
  add_run_options(*api, out, false, true);

  CLI::App* check =
      app.add_subcommand("check", "Say what is wrong with a configuration file, or what it means")
          ->group(run);
  check->add_option("file", out.config, "Configuration file (YAML)")->required()->type_name("FILE");
  check->add_flag(
      "--server", out.server,
      "Ask the Kubernetes cluster too whether it would take the apps' pods (a dry run: nothing is kept)");
  check->add_flag("--json", out.json, "Print JSON, for programs");
  CLI::App* version = app.add_subcommand("version", "Print the version")->group(run);
  version->add_flag("--json", out.json, "Print JSON, for programs");

  CLI::App* ls = app.add_subcommand("ls", "List the sessions: state, pod, age, last activity, when they go")
                     ->group(people);
  ls->add_option("app", out.name, "Only this app's")->type_name("APP");
  add_client_options(*ls, out);
  CLI::App* show = add_key(
      app.add_subcommand("show", "Show a session: why it lives, and when it goes")->group(people), out);
  add_client_options(*show, out);
  CLI::App* start =
      app.add_subcommand("start", "Start a session's pod, and wait until it is ready")->group(people);
  start->add_option("app", out.name, "App, or a whole KEY such as demo/ada")->required()->type_name("APP");
  start->add_option("user", out.user, "User: any name")->type_name("USER");
  start->add_flag("--no-wait", out.no_wait, "Do not wait until it is ready");
  add_client_options(*start, out);
  CLI::App* stop = add_key(
      app.add_subcommand("stop", "Stop a session's pod, and wait until it is gone")->group(people), out);
  stop->add_flag("--no-wait", out.no_wait, "Do not wait until it is gone");
  add_client_options(*stop, out);
  CLI::App* pin = add_key(
      app.add_subcommand("pin", "Keep a session's pod: it does not go for being idle")->group(people), out);
  add_client_options(*pin, out);
  CLI::App* unpin =
      add_key(app.add_subcommand("unpin", "Let it go when it is idle again")->group(people), out);
  add_client_options(*unpin, out);
  CLI::App* busy = add_key(
      app.add_subcommand("busy", "Keep a session's pod for a time, whatever is seen of it")->group(people),
      out);
  busy->add_option("time", out.time, "For how long, such as 30m or 12h; 0s: no longer")
      ->required()
      ->type_name("TIME");
  add_client_options(*busy, out);
  CLI::App* logs =
      add_key(app.add_subcommand("logs", "Print what a session's pod has written")->group(people), out);
  logs->add_flag("-f,--follow", out.follow, "Go on as it writes, until it ends");
  add_client_options(*logs, out);

  // After the commands: they would take over what was set before.
  app.set_help_all_flag("--help-all", "Help of all commands");
  app.footer(
      "Examples:\n  alcove up                       the demo on http://demo.localhost:8080/\n"
      "  alcove up -c alcove.yaml        with a configuration\n"
      "  alcove ls                       who has a pod, and when it goes\n"
      "Exit codes: 0 fine, 1 failed, 2 wrong usage or configuration.");

  if (argc < 2) {
    fmt::print(stderr, "{}", app.help());
    out.exit = kUsage;
    return out;
  }
  if (const std::string wrong = unknown_command(app, argv[1]); !wrong.empty()) {
    fmt::print(stderr, "{}\n", wrong);
    out.exit = kUsage;
    return out;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    out.exit = app.exit(error) == 0 ? 0 : kUsage;
    return out;
  }
  const std::pair<CLI::App*, Command> commands[] = {
      {up, Command::up},           {gateway, Command::gateway}, {provisioner, Command::provisioner},
      {reaper, Command::reaper},   {api, Command::api},         {check, Command::check},
      {version, Command::version}, {ls, Command::ls},           {show, Command::show},
      {start, Command::start},     {stop, Command::stop},       {pin, Command::pin},
      {unpin, Command::unpin},     {busy, Command::busy},       {logs, Command::logs}};
  for (const auto& [subcommand, command] : commands)
    if (subcommand->parsed()) out.command = command;
  return out;
}

}  // namespace alcove
