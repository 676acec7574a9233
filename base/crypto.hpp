// The little cryptography that is needed, all of it OpenSSL's. No state, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace alcove {

using Digest = std::array<unsigned char, 32>;

Digest sha256(std::string_view data);
Digest hmac_sha256(std::string_view key, std::string_view data);  // RFC 2104
// A JSON Web Token (RFC 7519) with these claims, a JSON object, signed with HS256.
std::string jwt_hs256(std::string_view key, std::string_view claims);
// Takes the same time wherever the two differ. False for different lengths.
bool equal_constant_time(std::string_view a, std::string_view b);
std::string random_bytes(
    std::size_t count);  // from the system's generator; throws std::runtime_error if it fails

std::string base32_lower(const Digest& digest);  // RFC 4648 alphabet in lower case, unpadded
std::string base64url(std::string_view data);    // RFC 4648 section 5, unpadded
bool base64url_decode(std::string_view text,
                      std::string& out);  // false for anything that base64url did not make
std::string hex(std::string_view data);

}  // namespace alcove
