// A pod for tests: listens on $ADDRESS:$PORT and answers every request with who it is. What it does besides
// is in its arguments:
//   delay=MS    listens only after so long        exit=CODE     ends at once with this code, saying so
//   flood       writes to stdout for ever         stubborn      ignores SIGTERM
//   child       has a child process in its group  stray         has a grandchild in a session of its own
//   status=N    answers with this HTTP status     say=TEXT      writes a line first
//   last=MS     ends by itself after so long, with code 4
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

void start_stray() {
  if (::fork() != 0) return;
  if (::fork() != 0) ::_exit(0);
  ::setsid();
  ::signal(SIGTERM, SIG_IGN);
  for (;;) ::pause();
}

void start_child() {
  if (::fork() != 0) return;
  if (::fork() != 0)
    for (;;) ::pause();
  ::signal(SIGTERM, SIG_IGN);
  for (;;) ::pause();
}

void flood() {
  if (::fork() != 0) return;
  std::string text(4000, 'x');
  text += "\n";
  for (;;)
    if (::write(1, text.data(), text.size()) < 0) ::_exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  long delay_ms = 0;
  long last_ms = -1;
  int status = 200;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto value = [&](std::string_view name) { return std::atol(argv[i] + name.size()); };
    if (word.starts_with("delay=")) delay_ms = value("delay=");
    if (word.starts_with("last=")) last_ms = value("last=");
    if (word.starts_with("status=")) status = static_cast<int>(value("status="));
    if (word.starts_with("say=")) std::puts(argv[i] + 4), std::fflush(stdout);
    if (word == "stubborn") ::signal(SIGTERM, SIG_IGN);
    if (word == "stray") start_stray();
    if (word == "child") start_child();
    if (word == "flood") flood();
    if (word.starts_with("exit=")) {
      std::printf("giving up with %ld\n", value("exit="));
      std::fflush(stdout);
      return static_cast<int>(value("exit="));
    }
  }
  if (delay_ms > 0) ::usleep(static_cast<useconds_t>(delay_ms) * 1000);

  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(static_cast<std::uint16_t>(std::atoi(environment("PORT").c_str())));
  ::inet_pton(AF_INET, environment("ADDRESS").c_str(), &name.sin_addr);
  if (::bind(listener, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0 || ::listen(listener, 64) != 0) {
    std::perror("listen");
    return 2;
  }
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(last_ms < 0 ? 600'000 : last_ms);
  const std::string body = environment("ALCOVE_SESSION") + " " + environment("ALCOVE_GENERATION") + " " +
                           environment("ALCOVE_USER") + " " + environment("HOME") + "\n";
  const std::string answer = "HTTP/1.1 " + std::to_string(status) +
                             " X\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
                             "\r\n\r\n" + body;
  while (std::chrono::steady_clock::now() < end) {
    pollfd ready{listener, POLLIN, 0};
    if (::poll(&ready, 1, 20) <= 0) continue;
    const int client = ::accept(listener, nullptr, nullptr);
    if (client < 0) continue;
    char request[4096];
    pollfd asked{client, POLLIN, 0};
    if (::poll(&asked, 1, 200) > 0 && ::recv(client, request, sizeof request, 0) > 0) [[maybe_unused]]
      const ssize_t n = ::send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
    ::close(client);
  }
  return 4;
}
