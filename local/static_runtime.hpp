// The static runtime: pods are endpoints that exist already, listed in the config and handed out to sessions.
// Called by: provisioner and reaper through the Runtime interface; alcove/ makes it. Thread: the control
// thread. Owns: who has which endpoint. It never looks at what runs there but for the readiness check of a
// start. Fails: start() with Errc::failed (all taken, does not answer), cancelled.
#pragma once

#include "config/settings.hpp"
#include "lifecycle/runtime.hpp"

#include <memory>

namespace alcove {

std::unique_ptr<Runtime> make_static_runtime(const StaticRuntimeSettings& settings, Executor executor);

}  // namespace alcove
