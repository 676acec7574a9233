// The local runtime: a pod is a process on this machine with a loopback address of its own.
// Called by: provisioner and reaper through the Runtime interface; alcove/ makes it. Thread: the control
// thread. Owns: the state directory (working directories, records of what runs, logs), and the guard process
// (guard.hpp) that
//   forks the pods and takes them with it when this process ends, however it ends.
// Fails: at start-up with std::runtime_error (directory, lock, network); later as Runtime says.
//
// The state directory:
//   lock                                 who owns it: one owner at a time, its guard holds it until all pods
//   are gone id                                   names this directory in the pods' UIDs (Runtime::sees)
//   pods/SCOPE/NAME/GENERATION/          the pod's working directory, removed after its end
//   pods/SCOPE/NAME/GENERATION.jsonl     its record (pod_record.hpp), removed after its end
//   pods/SCOPE/NAME/GENERATION.OFFSET.log  its output; OFFSET is where in the whole output the file begins
#pragma once

#include "config/settings.hpp"
#include "lifecycle/runtime.hpp"

#include <memory>
#include <string>

namespace alcove {

enum class LocalMode : std::uint8_t {
  owner,  // starts pods; one per state directory
  guest,  // a reaper or an API in another process of the machine: stops, lists and reads logs through the
          // directory
};

std::unique_ptr<Runtime> make_local_runtime(const LocalRuntimeSettings& settings, asio::io_context& context,
                                            LocalMode mode);

// Where the state is kept: the setting, else $XDG_STATE_HOME/alcove, else ~/.local/state/alcove.
std::string state_directory(const LocalRuntimeSettings& settings);

}  // namespace alcove
