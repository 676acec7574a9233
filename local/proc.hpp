// What /proc tells about processes: whether a pid still is the process that we started, and whose descendants
// run. Called by: guard, local runtime (both modes). Any thread, no state. A pid alone proves nothing, it is
// used again: pid and start time name a process, and the marker in its environment says that it is a pod of
// ours.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace alcove {

inline constexpr std::string_view kPodMarker = "ALCOVE_POD";  // environment variable: the pod's UID

struct Process {
  pid_t pid = 0;
  std::uint64_t start_time = 0;  // clock ticks after boot, field 22 of /proc/PID/stat
};

// Of the text of /proc/PID/stat; the command name in it may hold spaces and brackets.
std::optional<std::uint64_t> start_time_in(std::string_view stat);
std::optional<pid_t> parent_in(std::string_view stat);

std::optional<std::uint64_t> start_time_of(pid_t pid);  // nothing: no such process
std::string marker_of(pid_t pid);                       // empty: not ours, gone, or not allowed to look
std::string working_directory_of(pid_t pid);            // empty: unknown
std::vector<pid_t> children_of(pid_t pid);              // of all its threads
std::vector<Process> descendants_of(pid_t pid);
std::vector<pid_t> all_pids();
std::string boot_id();

bool is_same(const Process& process);  // it still runs (or is a zombie) under this pid

// Which processes belong to pods: by UID, the start time of the pod's first process (0: unknown). One that is
// older than its pod only looks like ours.
using MarkedPods = std::unordered_map<std::string, std::uint64_t>;
// Kills (SIGKILL) every process that belongs to one of these pods, until there is none. False: some were left
// after about five seconds. Blocks for some milliseconds for each round.
bool kill_marked(const MarkedPods& pods);
// Kills what is left of the process group of `leader` that works below `directory`: programs that write over
// their environment (nginx shows its title there) carry no mark any more. The leader itself may be gone.
void kill_group_below(const Process& leader, const std::string& directory);

// "exited with code 3", "was killed by signal 9 (SIGKILL)", from a wait status.
std::string exit_text(int status);

}  // namespace alcove
