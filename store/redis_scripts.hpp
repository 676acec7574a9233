// The Lua scripts of store/scripts, each with common.lua before it, embedded at build time, with the SHA-1 by
// which Redis knows them. Called by: redis_store. Constant after the first call, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace alcove {

struct RedisScript {
  RedisScript(std::string_view its_name, std::string_view common, std::string_view own);
  std::string name;  // of the file, without .lua
  std::string text;
  std::string sha;  // hex
};

std::vector<RedisScript> make_redis_scripts();  // in the generated file
const std::vector<RedisScript>& redis_scripts();
// Null: there is no such script, a defect of ours.
const RedisScript* find_redis_script(std::string_view name);

}  // namespace alcove
