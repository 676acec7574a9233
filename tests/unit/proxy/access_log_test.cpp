#include "proxy/access_log.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <map>
#include <regex>
#include <sstream>
#include <thread>

namespace alcove::proxy {
namespace {

using namespace std::string_literals;
using Format = AccessLogWriter::Format;

struct Fd {
  Fd() = default;
  explicit Fd(int n) : fd(n) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { close(); }
  void close() {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
  int fd = -1;
};

struct Pipe {
  explicit Pipe(int flags = 0) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC | flags), 0);
    read.fd = ends[0];
    write.fd = ends[1];
  }
  Fd read;
  Fd write;
};

std::string read_to_end(int fd) {
  std::string out;
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n > 0) out.append(buffer.data(), static_cast<std::size_t>(n));
    if (n == 0) return out;
    if (n < 0 && errno == EAGAIN) {
      std::this_thread::yield();
    } else if (n < 0 && errno != EINTR) {
      ADD_FAILURE() << "read: " << errno;
      return out;
    }
  }
}

std::size_t read_some(int fd) {
  std::array<char, 4096> buffer;
  return static_cast<std::size_t>(::read(fd, buffer.data(), buffer.size()));
}

std::string line_of(std::size_t bytes) {
  std::string line(bytes, 'x');
  line.back() = '\n';
  return line;
}

// What a writer leaves in a pipe for these lines; for less than a pipe holds.
std::string logged(Format format, const std::vector<AccessLine>& lines) {
  Pipe pipe;
  {
    AccessLogWriter writer(format, pipe.write.fd);
    AccessLog log(&writer);
    for (const AccessLine& line : lines) log.write(line);
    log.flush();
  }
  pipe.write.close();
  return read_to_end(pipe.read.fd);
}

AccessLine usual() {
  AccessLine line;
  line.request_id = "4bf92f35";
  line.client = "127.0.0.1";
  line.method = "GET";
  line.host = "demo.localhost";
  line.path = "/clock";
  line.session = "demo/ada";
  line.pod = "127.96.0.1:8080";
  line.source = "cache";
  line.status = 200;
  line.bytes_out = 128;
  line.reused = true;
  line.tries = 1;
  line.dial_us = 0;
  line.first_us = 900;
  line.total_us = 1234;
  return line;
}

TEST(access_log, is_one_readable_line_for_people) {
  AccessLine failed = usual();
  failed.method = "OPTIONS";
  failed.status = 502;
  failed.end = {'P', 'D'};
  failed.source = "hold";
  failed.total_us = 61'234'567;
  AccessLine bare;
  const std::string text = logged(Format::human, {usual(), failed, bare});
  const std::regex time("(^|\n)[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}  ");
  EXPECT_EQ(std::regex_replace(text, time, "$1T  "),
            "T  200  GET    demo.localhost/clock                      demo/ada          127.96.0.1:8080      "
            "cache  "
            "    1.2 ms\n"
            "T  502  OPTIONS  demo.localhost/clock                      demo/ada          127.96.0.1:8080    "
            "  hold   "
            "61234.6 ms  PD\n"
            "T  ---  -                                                -                 -                    "
            "-      "
            "         -\n");
}

TEST(access_log, is_one_object_a_line_for_programs) {
  const std::string text = logged(Format::json, {usual(), AccessLine{}});
  ASSERT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
  const auto line = nlohmann::json::parse(text.substr(0, text.find('\n')));
  EXPECT_TRUE(std::regex_match(line["time"].get<std::string>(), std::regex("20..-..-..T..:..:..\\....Z")));
  EXPECT_EQ(line["request_id"], "4bf92f35");
  EXPECT_EQ(line["client"], "127.0.0.1");
  EXPECT_EQ(line["method"], "GET");
  EXPECT_EQ(line["host"], "demo.localhost");
  EXPECT_EQ(line["path"], "/clock");
  EXPECT_EQ(line["session"], "demo/ada");
  EXPECT_EQ(line["pod"], "127.96.0.1:8080");
  EXPECT_EQ(line["source"], "cache");
  EXPECT_EQ(line["end"], "--");
  EXPECT_EQ(line["reused"], true);
  for (const char* number :
       {"status", "bytes_in", "bytes_out", "tries", "hold_us", "dial_us", "first_us", "total_us"})
    EXPECT_TRUE(line[number].is_number_integer()) << number;
  EXPECT_EQ(line["status"], 200);
  EXPECT_EQ(line["hold_us"], -1);
  EXPECT_EQ(line["total_us"], 1234);
}

TEST(access_log, any_byte_stays_on_its_line) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte)
    if (byte != '?' && byte != '#') all.push_back(static_cast<char>(byte));
  AccessLine hostile = usual();
  hostile.method = hostile.host = hostile.path = hostile.session = hostile.request_id = all;
  for (const Format format : {Format::human, Format::json}) {
    const std::string text = logged(format, {hostile});
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
    for (const char c : text.substr(0, text.size() - 1)) EXPECT_TRUE(c >= 0x20 && c < 0x7f);
  }
  const auto line = nlohmann::json::parse(logged(Format::json, {hostile}));
  std::string back;
  const std::string utf8 =
      line["path"].get<std::string>();  // each byte came back as the character of its number
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto byte = static_cast<unsigned char>(utf8[i]);
    back.push_back(byte < 0x80
                       ? utf8[i]
                       : static_cast<char>((byte << 6) | (static_cast<unsigned char>(utf8[++i]) & 0x3f)));
  }
  EXPECT_EQ(back, all);
}

TEST(access_log, never_shows_a_query) {
  AccessLine line = usual();
  line.path = "/callback?token=secret#also";
  for (const Format format : {Format::human, Format::json}) {
    const std::string text = logged(format, {line});
    EXPECT_NE(text.find("/callback"), std::string::npos);
    EXPECT_EQ(text.find("secret"), std::string::npos);
    EXPECT_EQ(text.find("also"), std::string::npos);
  }
}

TEST(access_log, cuts_endless_paths) {
  const std::string path = "/" + std::string(30'000, 'a');
  AccessLine line = usual();
  line.path = path;
  EXPECT_LT(logged(Format::human, {line}).size(), 1500U);
}

TEST(access_log, off_costs_nothing) {
  AccessLog log(nullptr);
  log.write(usual());
  log.flush();
}

TEST(access_log_writer, writes_what_it_has_before_it_ends) {
  std::string path = ::testing::TempDir() + "access_log_test_XXXXXX";
  Fd file(::mkstemp(path.data()));
  ASSERT_GE(file.fd, 0);
  ::unlink(path.c_str());
  {
    AccessLogWriter writer(Format::human, file.fd);
    for (int i = 0; i < 1000; ++i) writer.take(line_of(1001));
  }
  EXPECT_EQ(::lseek(file.fd, 0, SEEK_CUR), 1'001'000);
}

TEST(access_log_writer, keeps_the_lines_of_many_workers_whole_and_in_order) {
  constexpr int kWorkers = 4;
  constexpr int kLines = 1000;
  for (const int flags : {0, O_NONBLOCK}) {  // the second: partial writes and EAGAIN
    Pipe pipe(flags);
    std::string text;
    std::thread reader([&] { text = read_to_end(pipe.read.fd); });
    {
      AccessLogWriter writer(Format::json, pipe.write.fd);
      std::vector<std::jthread> workers;
      for (int w = 0; w < kWorkers; ++w) {
        workers.emplace_back([&writer, w] {
          AccessLog log(&writer);
          const std::string id = std::to_string(w);
          for (int i = 0; i < kLines; ++i) {
            AccessLine line = usual();
            line.request_id = id;
            line.bytes_in = static_cast<std::uint64_t>(i);
            log.write(line);
            if (i % 7 == 0) log.flush();
          }
          log.flush();
        });
      }
      workers.clear();
      EXPECT_EQ(writer.dropped(), 0U);
    }
    pipe.write.close();
    reader.join();
    std::map<std::string, int> next;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      const auto parsed = nlohmann::json::parse(line);
      EXPECT_EQ(parsed["bytes_in"], next[parsed["request_id"]]++);
    }
    for (int w = 0; w < kWorkers; ++w) EXPECT_EQ(next[std::to_string(w)], kLines);
  }
}

TEST(access_log_writer, a_reader_that_stalls_costs_lines_and_never_time) {
  Pipe pipe;
  const auto began = SteadyClock::now();
  std::uint64_t dropped = 0;
  constexpr std::uint64_t kLines = 200;
  {
    AccessLogWriter writer(Format::human, pipe.write.fd);
    for (std::uint64_t i = 0; i < kLines; ++i) writer.take(line_of(100'000));
    EXPECT_LT(SteadyClock::now() - began, std::chrono::seconds(20));
    dropped = writer.dropped();
  }
  // 20 MB were given and 8 MiB may wait, beside what the pipe took.
  EXPECT_GE(dropped, kLines - 90);
  EXPECT_LT(dropped, kLines - 80);
  EXPECT_LT(SteadyClock::now() - began, std::chrono::seconds(40));
}

TEST(access_log_writer, a_reader_that_has_gone_is_no_reason_to_die) {
  Pipe pipe;
  pipe.read.close();
  AccessLogWriter writer(Format::human, pipe.write.fd);
  writer.take("one\ntwo\n");
  writer.take("three\n");
  const auto until = SteadyClock::now() + std::chrono::seconds(30);
  while (writer.dropped() < 3 && SteadyClock::now() < until) std::this_thread::yield();
  EXPECT_EQ(writer.dropped(), 3U);
}

TEST(access_log_writer, a_full_disk_costs_lines_only) {
  Fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  ASSERT_GE(full.fd, 0);
  AccessLogWriter writer(Format::human, full.fd);
  writer.take("one\ntwo\n");
  const auto until = SteadyClock::now() + std::chrono::seconds(30);
  while (writer.dropped() < 2 && SteadyClock::now() < until) std::this_thread::yield();
  EXPECT_EQ(writer.dropped(), 2U);
}

TEST(access_log_writer, does_not_spin_while_it_waits_for_a_reader) {
  Pipe pipe(O_NONBLOCK);
  AccessLogWriter writer(Format::human, pipe.write.fd);
  const auto cpu = [] {
    timespec spent{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return std::chrono::seconds(spent.tv_sec) + std::chrono::nanoseconds(spent.tv_nsec);
  };
  writer.take(line_of(1'000'001));
  // Until the pipe is full: from then on the writer waits.
  pollfd room{pipe.write.fd, POLLOUT, 0};
  const auto until = SteadyClock::now() + std::chrono::seconds(30);
  while (::poll(&room, 1, 0) > 0 && SteadyClock::now() < until) std::this_thread::yield();
  const auto before = cpu();
  pollfd nothing{-1, 0, 0};
  ::poll(&nothing, 1, 1000);  // the span that is measured
  EXPECT_LT(cpu() - before, std::chrono::milliseconds(300));
  EXPECT_EQ(read_some(pipe.read.fd), 4096U);
}

}  // namespace
}  // namespace alcove::proxy
