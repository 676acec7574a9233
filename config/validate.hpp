// Validate: what keys mean together: conflicts, what is missing, what would run but not as meant.
// Called by: loader, after every key was read; where one was wrong by itself its default stands in. Looks at
// the TLS files; changes nothing. Inside this room only.
#pragma once

#include "config/reading.hpp"
#include "config/settings.hpp"

namespace alcove {

void validate(const Settings& settings, Reading& reading);

}  // namespace alcove
