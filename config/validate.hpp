// Validate: what keys mean together: conflicts, what is missing, what would run but not as meant.
// Called by: loader, after every key was read; where one was wrong by itself its default stands in. Looks at
// the TLS files; changes nothing. Inside this room only.
#pragma once

#include "config/reading.hpp"
#include "config/settings.hpp"

namespace alcove {

// validate's own, in a file of their own.
void check_kubernetes_runtime(const KubernetesRuntimeSettings& runtime, Reading& reading);
void check_kubernetes_app(const Settings& settings, const AppSettings& app, const std::string& key,
                          Reading& reading);

void validate(const Settings& settings, Reading& reading);

}  // namespace alcove
