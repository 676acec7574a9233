// What `alcove up` tells who has started it: what to open, what to type. Pure, any thread.
#pragma once

#include "config/settings.hpp"

#include <string>
#include <vector>

namespace alcove {

std::string greeting(const Settings& settings, const std::vector<Endpoint>& listening, const Endpoint& admin);

}  // namespace alcove
