// What is on disk about a pod while it lives: by it other processes of the machine find the pod, and whoever
// comes after a crash finds what is left of it.
// A record file has a line of JSON for each state that the pod was in, and the last line that is whole and a
// record counts. So a new state costs one write, a reader never sees half of one, and no file is made and
// thrown away for it.
// Called by: state directory. Pure but for append_record(), any thread. Owns: nothing.
// Fails: append_record() with Errc::failed, naming the file; the state before counts then.
#pragma once

#include "base/result.hpp"
#include "lifecycle/runtime.hpp"
#include "local/proc.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace alcove {

struct PodRecord {
  PodName name;
  std::string app;
  std::string user;
  std::string uid;
  Endpoint endpoint;
  Process leader;       // pid 0: not started yet
  std::string boot_id;  // of the machine's life in which it runs
  bool ready = false;
};

std::string to_line(const PodRecord& record);  // with its line feed
// Nothing: none of the lines is a record.
std::optional<PodRecord> record_in(std::string_view lines);
Result<void> append_record(const std::string& path, const PodRecord& record);

}  // namespace alcove
