// Schema: which keys there are, of which type and in which range. What a key means together with others is
// validate's. Called by: loader. Pure but for the files that secrets name. Inside this room only.
#pragma once

#include "config/reading.hpp"
#include "config/settings.hpp"

namespace alcove {

void read_settings(const Value& root, Settings& out);
void read_app(const Value& value, AppSettings& out);  // everything but the name
void read_kubernetes_app(const Value& value, KubernetesAppSettings& out);
void read_kubernetes_runtime(const Value& value, KubernetesRuntimeSettings& out);

}  // namespace alcove
