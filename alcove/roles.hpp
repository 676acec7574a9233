// Which roles this process has. `alcove up` has them all.
#pragma once

namespace alcove {

struct Roles {
  bool gateway = false;
  bool provisioner = false;
  bool reaper = false;

  bool all() const { return gateway && provisioner && reaper; }
  bool runs_control() const { return provisioner || reaper; }
};

}  // namespace alcove
