// Files that the config names: read whole, with an error that says what is wrong with them.
// Called by: loader (the file itself), reading (file:/path). Any thread.
// Fails with: Errc::not_found (no such file), denied, invalid (a directory, too large, empty secret).
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <string>

namespace alcove {

Result<std::string> read_file(const std::string& path, std::size_t most_bytes);
// Without the newline at its end; must be an absolute path and not empty.
Result<std::string> read_secret_file(const std::string& path);

}  // namespace alcove
