// Which roles this process has. `alcove up` has them all.
#pragma once

namespace alcove {

struct Roles {
  bool gateway = false;
  bool provisioner = false;
  bool reaper = false;
  bool api = false;  // the admin listener, which every process has, with the output of pods

  bool all() const { return gateway && provisioner && reaper && api; }
  bool runs_control() const { return provisioner || reaper || api; }
};

}  // namespace alcove
