// alcove-demo: a small app to try Alcove with. Alcove starts one for each user, each on an address of its
// own.
#include "demo/pod.hpp"
#include "demo/server.hpp"

#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>

#include <cstdint>
#include <cstdio>
#include <string>

namespace {

using namespace alcove;

void listen_or_stop(asio::io_context& context, demo::Pod& pod, int& exit_code) {
  const Result<void> listening = demo::serve(context, pod);
  if (!listening) {
    std::fprintf(stderr, "alcove-demo: %s\n", listening.error().text.c_str());
    exit_code = 1;
    context.stop();
    return;
  }
  std::fprintf(stderr, "alcove-demo: %s, generation %s, listens on %s\n",
               pod.session.empty() ? "(started by hand)" : pod.session.c_str(),
               pod.generation.empty() ? "0" : pod.generation.c_str(), to_string(pod.endpoint).c_str());
}

int run(const Endpoint& endpoint, std::chrono::milliseconds start_delay) {
  asio::io_context context(1);
  demo::Pod pod = demo::from_environment(endpoint);
  int exit_code = 0;

  asio::signal_set signals(context, SIGTERM, SIGINT);
  signals.async_wait([&context](const error_code& ec, int) {
    if (!ec) context.stop();
  });
  Timer delay(context.get_executor(), start_delay);
  delay.async_wait([&](const error_code& ec) {
    if (!ec) listen_or_stop(context, pod, exit_code);
  });
  context.run();
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"A small app to try Alcove with: it says who you are and which pod serves you."};
  std::string listen = "127.0.0.1:9000";
  std::uint64_t start_delay_ms = 0;
  std::string failure;
  app.add_option("--listen", listen, "ADDRESS:PORT to listen on")->capture_default_str();
  app.add_option("--start-delay", start_delay_ms,
                 "Wait so long before listening, e.g. 2s, as an app that is slow to start")
      ->transform(
          CLI::AsNumberWithUnit(std::map<std::string, std::uint64_t>{{"ms", 1}, {"s", 1000}, {"m", 60'000}},
                                CLI::AsNumberWithUnit::UNIT_REQUIRED));
  app.add_option("--fail", failure, "Say this reason on stderr and exit with 1, as an app that cannot start");
  CLI11_PARSE(app, argc, argv);

  if (!failure.empty()) {
    std::fprintf(stderr, "%s\n", failure.c_str());
    return 1;
  }
  const Result<Endpoint> endpoint = parse_endpoint(listen);
  if (!endpoint) {
    std::fprintf(stderr, "alcove-demo: --listen: %s\n", endpoint.error().text.c_str());
    return 2;
  }
  return run(*endpoint, std::chrono::milliseconds(start_delay_ms));
}
