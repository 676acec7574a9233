#include "proxy/access_log.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <ctime>
#include <iterator>
#include <mutex>
#include <thread>
#include <vector>

namespace alcove::proxy {
namespace {

constexpr std::size_t kMaxWaiting = 8u << 20;
constexpr std::size_t kFlushAt = 64u << 10;  // a worker does not wait for its tick with more
constexpr std::size_t kMaxPathShown = 1024;  // a path can have the size of a whole head
constexpr std::size_t kPipeWrite = 4096;     // PIPE_BUF: after POLLOUT a pipe takes it without blocking
constexpr std::size_t kFileWrite = 256u << 10;
constexpr Millis kPollSlice{100};  // how soon a writer that waits for room sees that it shall end
constexpr Millis kShortPause{5};
constexpr Millis kRetryAfterError{1'000};  // disk full, reader gone: not a reason to spin
constexpr Millis kStalledAtEnd{1'000};     // a reader that takes nothing for so long is not waited for
constexpr Millis kLastWords{10'000};       // in all, for what still waits at the end

void put_escaped(std::string& out, std::string_view text, std::string_view escape) {
  constexpr std::string_view digits = "0123456789abcdef";
  const std::string_view shown = text.substr(0, kMaxPathShown);
  for (const char c : shown) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && c != '"' && c != '\\') {
      out.push_back(c);
    } else {
      out += escape;
      out.push_back(digits[byte >> 4]);
      out.push_back(digits[byte & 15]);
    }
  }
  if (shown.size() < text.size()) out += "...";
}

// One byte takes "\x0a" for people and "\u000a" in JSON, which has no other way for bytes that are not UTF-8.
void put_human(std::string& out, std::string_view text) {
  put_escaped(out, text, "\\x");
}

void put_json(std::string& out, std::string_view key, std::string_view text) {
  out.append(",\"").append(key).append("\":\"");
  put_escaped(out, text, "\\u00");
  out.push_back('"');
}

template <class Number>
void put_json_number(std::string& out, std::string_view key, Number number) {
  fmt::format_to(std::back_inserter(out), ",\"{}\":{}", key, number);
}

enum class Clock : std::uint8_t { local, utc };

// The text of this second, made once a second in each thread.
std::string_view second_text(std::time_t second, Clock clock) {
  struct Cached {
    std::time_t second = -1;
    std::string text;
  };
  thread_local std::array<Cached, 2> cached;
  Cached& one = cached[static_cast<std::size_t>(clock)];
  if (one.second == second) return one.text;
  std::tm parts{};
  if (clock == Clock::local) {
    localtime_r(&second, &parts);
    one.text = fmt::format("{:02}:{:02}:{:02}", parts.tm_hour, parts.tm_min, parts.tm_sec);
  } else {
    gmtime_r(&second, &parts);
    one.text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1,
                           parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
  }
  one.second = second;
  return one.text;
}

void pad_to(std::string& out, std::size_t from, std::size_t width) {
  // Columns stay columns for the usual; what is longer pushes the rest to the right instead of being cut.
  const std::size_t used = out.size() - from;
  out.append(used < width ? width - used : 0, ' ');
  out.append("  ");
}

std::string_view or_dash(std::string_view text) {
  return text.empty() ? std::string_view("-") : text;
}

void write_human(std::string& out, const AccessLine& line, std::int64_t now_ms) {
  out += second_text(now_ms / 1000, Clock::local);
  fmt::format_to(std::back_inserter(out), ".{:03}  ", now_ms % 1000);
  if (line.status == 0) {
    out += "---  ";
  } else {
    fmt::format_to(std::back_inserter(out), "{:3}  ", line.status);
  }
  std::size_t from = out.size();
  put_human(out, or_dash(line.method));
  pad_to(out, from, 5);
  from = out.size();
  put_human(out, line.host);
  put_human(out, without_query(line.path));
  pad_to(out, from, 40);
  from = out.size();
  put_human(out, or_dash(line.session));
  pad_to(out, from, 16);
  from = out.size();
  put_human(out, or_dash(line.pod));
  pad_to(out, from, 19);
  from = out.size();
  put_human(out, or_dash(line.source));
  pad_to(out, from, 5);
  if (line.total_us < 0) {
    out += "         -";
  } else {
    fmt::format_to(std::back_inserter(out), "{:7.1f} ms", static_cast<double>(line.total_us) / 1000.0);
  }
  if (line.end != std::array<char, 2>{'-', '-'}) {
    out += "  ";
    put_human(out, {line.end.data(), line.end.size()});
  }
  out.push_back('\n');
}

void write_json(std::string& out, const AccessLine& line, std::int64_t now_ms) {
  out += "{\"time\":\"";
  out += second_text(now_ms / 1000, Clock::utc);
  fmt::format_to(std::back_inserter(out), ".{:03}Z\"", now_ms % 1000);
  put_json(out, "request_id", line.request_id);
  put_json(out, "client", line.client);
  put_json(out, "method", line.method);
  put_json(out, "host", line.host);
  put_json(out, "path", without_query(line.path));
  put_json(out, "session", line.session);
  put_json(out, "pod", line.pod);
  put_json(out, "source", line.source);
  put_json_number(out, "status", line.status);
  put_json(out, "end", {line.end.data(), line.end.size()});
  put_json_number(out, "bytes_in", line.bytes_in);
  put_json_number(out, "bytes_out", line.bytes_out);
  put_json_number(out, "reused", line.reused);
  put_json_number(out, "tries", line.tries);
  put_json_number(out, "hold_us", line.hold_us);
  put_json_number(out, "dial_us", line.dial_us);
  put_json_number(out, "first_us", line.first_us);
  put_json_number(out, "total_us", line.total_us);
  out += "}\n";
}

std::uint64_t count_lines(std::string_view text) {
  return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

struct AccessLogWriter::Impl {
  Impl(Format format_wanted, int to) : format(format_wanted), fd(to) {
    struct stat about {};
    piece = ::fstat(fd, &about) == 0 && S_ISREG(about.st_mode) ? kFileWrite : kPipeWrite;
    // Signals are for the main thread; a reader of the log that has gone shall be EPIPE here, not the end of
    // the process.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    thread = std::thread([this] { run(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      ending = true;
      ending_at = SteadyClock::now();
    }
    changed.notify_one();
    thread.join();
  }

  void take(std::string&& lines) {
    {
      const std::lock_guard lock(mutex);
      if (waiting_bytes + lines.size() > kMaxWaiting) {
        dropped.fetch_add(count_lines(lines), std::memory_order_relaxed);
        return;
      }
      waiting_bytes += lines.size();
      waiting.push_back(std::move(lines));
    }
    changed.notify_one();
  }

  void run() {
    std::vector<std::string> batch;
    while (true) {
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return ending || !waiting.empty(); });
        if (waiting.empty()) return;
        batch.swap(waiting);
      }
      for (const std::string& lines : batch) {
        write_lines(lines);
        const std::lock_guard lock(mutex);
        waiting_bytes -= lines.size();
      }
      batch.clear();
    }
  }

  void write_lines(std::string_view lines) {
    if (!at_line_start) {
      // The rest of a line was lost to an error: what follows shall not be glued to its beginning.
      std::string_view line_end = "\n";
      write_out(line_end);
    }
    if (at_line_start) write_out(lines);
    dropped.fetch_add(count_lines(lines), std::memory_order_relaxed);
  }

  // Takes what was written off `text`. What is left is lost: an error (and a second after one), or the end
  // has come.
  void write_out(std::string_view& text) {
    if (SteadyClock::now() < retry_at) return;
    while (!text.empty()) {
      if (!wait_for_room()) return;
      const ssize_t written = ::write(fd, text.data(), std::min(piece, text.size()));
      if (written > 0) {
        at_line_start = text[static_cast<std::size_t>(written) - 1] == '\n';
        text.remove_prefix(static_cast<std::size_t>(written));
        progress_at = SteadyClock::now();
      } else if (written < 0 && errno == EINTR) {
        continue;
      } else if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        // Room, but not for this piece: poll would answer at once again.
        std::this_thread::sleep_for(kShortPause);
        if (end_is_over()) return;
      } else {
        retry_at = SteadyClock::now() + kRetryAfterError;
        return;
      }
    }
  }

  bool wait_for_room() {
    while (true) {
      pollfd waits{fd, POLLOUT, 0};
      const bool last_try = end_is_over();
      const int ready = ::poll(&waits, 1, last_try ? 0 : static_cast<int>(kPollSlice.count()));
      if (ready > 0) return true;
      if (ready < 0 && errno != EINTR) return true;  // write will name the error
      if (last_try) return false;
    }
  }

  bool end_is_over() {
    const std::lock_guard lock(mutex);
    if (!ending) return false;
    const SteadyTime now = SteadyClock::now();
    return now - std::max(ending_at, progress_at) >= kStalledAtEnd || now - ending_at >= kLastWords;
  }

  const Format format;
  const int fd;
  std::size_t piece = kPipeWrite;
  std::atomic<std::uint64_t> dropped{0};

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> waiting;
  std::size_t waiting_bytes = 0;  // with what is being written
  bool ending = false;
  SteadyTime ending_at;

  // The writer thread's own.
  bool at_line_start = true;
  SteadyTime retry_at;
  SteadyTime progress_at;
  std::thread thread;
};

AccessLogWriter::AccessLogWriter(Format format, int fd) : impl_(std::make_unique<Impl>(format, fd)) {}
AccessLogWriter::~AccessLogWriter() = default;
void AccessLogWriter::take(std::string&& lines) {
  impl_->take(std::move(lines));
}
std::uint64_t AccessLogWriter::dropped() const {
  return impl_->dropped.load(std::memory_order_relaxed);
}
AccessLogWriter::Format AccessLogWriter::format() const {
  return impl_->format;
}

AccessLog::AccessLog(AccessLogWriter* writer) : writer_(writer) {}

void AccessLog::write(const AccessLine& line) {
  if (writer_ == nullptr) return;
  const std::int64_t now_ms = to_unix_ms(wall_now());
  if (writer_->format() == AccessLogWriter::Format::json) {
    write_json(buffer_, line, now_ms);
  } else {
    write_human(buffer_, line, now_ms);
  }
  if (buffer_.size() >= kFlushAt) flush();
}

void AccessLog::flush() {
  if (writer_ == nullptr || buffer_.empty()) return;
  writer_->take(std::move(buffer_));
  buffer_.clear();
}

}  // namespace alcove::proxy
