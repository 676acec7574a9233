#include "store/redis_scripts.hpp"

#include "base/crypto.hpp"

#include <openssl/evp.h>

#include <array>
#include <stdexcept>

namespace alcove {

RedisScript::RedisScript(std::string_view its_name, std::string_view common, std::string_view own)
    : name(its_name), text(std::string(common).append(own)) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1)
    throw std::runtime_error("OpenSSL has no SHA-1, by which Redis names its scripts");
  sha = hex(std::string(digest.begin(), digest.begin() + size));
}

const std::vector<RedisScript>& redis_scripts() {
  static const std::vector<RedisScript> scripts = make_redis_scripts();
  return scripts;
}

const RedisScript* find_redis_script(std::string_view name) {
  for (const RedisScript& script : redis_scripts())
    if (script.name == name) return &script;
  return nullptr;
}

}  // namespace alcove
