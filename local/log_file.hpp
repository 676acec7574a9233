// The output of a pod on disk: at most `limit` bytes, the newest, in two halves. A file's name says where in
// the whole output it begins (STEM.OFFSET.log), so offsets go on growing while old output goes away, and a
// reader in another process needs no index. Called by: guard (LogWriter), local runtime (read_log,
// last_lines, remove_log). Thread: the caller's. Fails: a full disk or a lost directory drops output and
// counts it; the next write that succeeds says how much.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace alcove {

class LogWriter {
 public:
  LogWriter(std::string stem, std::uint64_t limit);  // stem: path without ".OFFSET.log"
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  void write(std::string_view text);
  std::uint64_t dropped() const { return dropped_in_all_; }

 private:
  void write_some(std::string_view text);
  bool open_next();

  std::string stem_;
  std::uint64_t half_;
  int fd_ = -1;
  std::uint64_t begin_ = 0;    // offset of the file that is open
  std::uint64_t size_ = 0;     // of the file that is open
  std::string current_;        // its path
  std::string previous_;       // the other half, empty: none yet
  std::uint64_t dropped_ = 0;  // not yet told in the log
  std::uint64_t dropped_in_all_ = 0;
};

struct LogText {
  std::string text;
  std::uint64_t next = 0;
  bool at_end = false;  // nothing more is there now
};

// At most `most` bytes from `offset` on, or from the oldest kept byte if that is newer. not_found: no output
// is kept.
Result<LogText> read_log(const std::string& stem, std::uint64_t offset, std::size_t most);
// Where to start for about the last `bytes`.
std::uint64_t log_tail_offset(const std::string& stem, std::uint64_t bytes);
// The last lines, printable, on one line joined by " | ", at most `bytes`; empty if there was no output.
std::string last_lines(const std::string& stem, std::size_t bytes);
void remove_log(const std::string& stem);

}  // namespace alcove
