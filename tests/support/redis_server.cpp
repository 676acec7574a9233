#include "tests/support/redis_server.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <fmt/format.h>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <thread>

namespace alcove::test {
namespace {

using boost::asio::ip::tcp;
constexpr auto kStartLimit = std::chrono::seconds(10);

std::string run_command(const std::string& command) {
  struct Close {
    void operator()(FILE* file) const { pclose(file); }
  };
  const std::unique_ptr<FILE, Close> pipe(popen(command.c_str(), "r"));
  if (!pipe) throw std::runtime_error("cannot run: " + command);
  std::string output;
  std::array<char, 4096> buffer{};
  while (const std::size_t n = fread(buffer.data(), 1, buffer.size(), pipe.get()))
    output.append(buffer.data(), n);
  return output;
}

bool accepts(std::uint16_t port) {
  boost::asio::io_context io;
  tcp::socket socket(io);
  boost::system::error_code ec;
  socket.connect({boost::asio::ip::address_v4::loopback(), port}, ec);
  return !ec;
}

}  // namespace

std::uint16_t free_port() {
  boost::asio::io_context io;
  tcp::acceptor acceptor(io, {boost::asio::ip::address_v4::loopback(), 0});
  return acceptor.local_endpoint().port();
}

RedisServer::RedisServer(RedisServerOptions options) : options_(std::move(options)) {
  std::string path = (std::filesystem::temp_directory_path() / "alcove-redis-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("cannot make a directory like " + path);
  directory_ = path;
  if (options_.tls)
    run_command(
        fmt::format("cd {} && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
                    "-keyout key.pem -out cert.pem -subj /CN=redis -addext subjectAltName=IP:127.0.0.1 2>&1",
                    path));
  for (int tries = 0; tries < 5; ++tries) {
    port_ = free_port();
    write_config();
    if (try_start()) return;
  }
  throw std::runtime_error("redis-server does not start, see " + path + "/log");
}

RedisServer::~RedisServer() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

RedisStoreSettings RedisServer::settings() const {
  RedisStoreSettings settings;
  settings.port = port_;
  settings.user = options_.user;
  settings.password = options_.password;
  settings.tls = options_.tls;
  if (options_.tls) settings.ca_file = (directory_ / "cert.pem").string();
  settings.timeout = Millis{2'000};
  return settings;
}

void RedisServer::write_config() const {
  std::ofstream out(directory_ / "redis.conf");
  out << "bind 127.0.0.1\nsave \"\"\ndir " << directory_.string() << "\nlogfile " << directory_.string()
      << "/log\n";
  if (options_.keep_data) out << "appendonly yes\nappendfsync no\n";
  if (options_.tls)
    out << "port 0\ntls-port " << port_ << "\ntls-cert-file " << directory_.string()
        << "/cert.pem\ntls-key-file " << directory_.string() << "/key.pem\ntls-auth-clients no\n";
  else
    out << "port " << port_ << "\n";
  if (!options_.user.empty())
    out << "user default off\nuser " << options_.user << " on >" << options_.password << " resetchannels ~{"
        << options_.acl_prefix << "}:* &{" << options_.acl_prefix
        << "}:* -@all +@read +@write +@connection +@pubsub +@transaction +time +eval +evalsha +script|load\n";
  else if (!options_.password.empty())
    out << "requirepass " << options_.password << "\n";
}

void RedisServer::start() {
  if (!try_start()) throw std::runtime_error("redis-server does not start again, see its log");
}

bool RedisServer::try_start() {
  const std::string config = (directory_ / "redis.conf").string();
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    const int log = open((directory_ / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execlp("redis-server", "redis-server", config.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  const auto deadline = std::chrono::steady_clock::now() + kStartLimit;
  while (std::chrono::steady_clock::now() < deadline) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      return false;
    }
    if (accepts(port_)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  kill();
  return false;
}

void RedisServer::kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void RedisServer::freeze() {
  ::kill(pid_, SIGSTOP);
}
void RedisServer::thaw() {
  ::kill(pid_, SIGCONT);
}

std::string RedisServer::cli(const std::string& arguments) const {
  std::string access;
  if (!options_.user.empty()) access += " --user " + options_.user;
  if (!options_.password.empty()) access += " -a " + options_.password;
  if (options_.tls) access += " --tls --cacert " + (directory_ / "cert.pem").string();
  return run_command(fmt::format("redis-cli --no-auth-warning -p {}{} {} 2>&1", port_, access, arguments));
}

}  // namespace alcove::test
