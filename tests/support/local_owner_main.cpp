// A process that owns a local runtime, for tests that kill it: starts COUNT pods of PROGRAM ARGUMENT... in
// DIRECTORY, prints "started COUNT guard PID" and waits to be ended. With "refused TEXT" if the runtime
// cannot be made.
#include "base/log.hpp"
#include "local/guard.hpp"
#include "local/local_owner.hpp"
#include "local/local_runtime.hpp"

#include <cstdio>
#include <cstdlib>

namespace {

using namespace alcove;

Awaitable<void> start_all(Runtime& runtime, AppSettings app, int count) {
  int started = 0;
  for (int i = 0; i < count; ++i) {
    PodSpec spec;
    spec.name = {SessionKey("demo", "u" + std::to_string(i)), 1};
    spec.user = "u" + std::to_string(i);
    spec.app = app;
    const Result<Pod> pod = co_await runtime.start(std::move(spec));
    if (pod) {
      ++started;
    } else {
      std::fprintf(stderr, "%s\n", pod.error().text.c_str());
    }
  }
  std::printf("started %d guard %d\n", started, dynamic_cast<LocalOwner&>(runtime).guard_pid());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (is_local_guard(argc, argv)) return run_local_guard(argc, argv);
  if (argc < 4) return 2;
  start_log(LogFormat::human, spdlog::level::err);
  LocalRuntimeSettings settings;
  settings.directory = argv[1];
  AppSettings app;
  app.name = "demo";
  app.port = 18080;
  app.command.assign(argv + 3, argv + argc);
  asio::io_context context{1};
  try {
    const auto runtime = make_local_runtime(settings, context, LocalMode::owner);
    launch(context.get_executor(), start_all(*runtime, app, std::atoi(argv[2])));
    context.run();
  } catch (const std::exception& e) {
    std::printf("refused %s\n", e.what());
  }
  return 0;
}
