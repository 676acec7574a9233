// What this process itself is and uses, for /metrics. Any thread.
#pragma once

#include <prometheus/collectable.h>

#include <memory>

namespace alcove {

std::shared_ptr<prometheus::Collectable> collect_process();

}  // namespace alcove
