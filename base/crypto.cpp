#include "base/crypto.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <stdexcept>

namespace alcove {
namespace {

// Never null: OpenSSL takes a null key for "the same as before".
const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.empty() ? "" : text.data());
}

constexpr std::string_view kBase64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int base64url_value(char c) {
  const auto at = kBase64url.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

}  // namespace

Digest sha256(std::string_view data) {
  Digest out{};
  unsigned size = 0;
  if (EVP_Digest(data.data(), data.size(), out.data(), &size, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("OpenSSL: SHA-256 is not available");
  return out;
}

Digest hmac_sha256(std::string_view key, std::string_view data) {
  Digest out{};
  unsigned size = 0;
  if (HMAC(EVP_sha256(), bytes(key), static_cast<int>(key.size()), bytes(data), data.size(), out.data(),
           &size) == nullptr)
    throw std::runtime_error("OpenSSL: HMAC-SHA-256 is not available");
  return out;
}

std::string jwt_hs256(std::string_view key, std::string_view claims) {
  std::string out = base64url(R"({"alg":"HS256","typ":"JWT"})") + "." + base64url(claims);
  const Digest digest = hmac_sha256(key, out);
  out += "." + base64url({reinterpret_cast<const char*>(digest.data()), digest.size()});
  return out;
}

bool equal_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string random_bytes(std::size_t count) {
  std::string out(count, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(count)) != 1)
    throw std::runtime_error("OpenSSL: no random bytes from the system");
  return out;
}

std::string base32_lower(const Digest& digest) {
  constexpr std::string_view alphabet = "abcdefghijklmnopqrstuvwxyz234567";
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const unsigned char byte : digest) {
    bits = (bits << 8) | byte;
    count += 8;
    while (count >= 5) {
      out.push_back(alphabet[(bits >> (count - 5)) & 31]);
      count -= 5;
    }
  }
  if (count > 0) out.push_back(alphabet[(bits << (5 - count)) & 31]);
  return out;
}

std::string base64url(std::string_view data) {
  std::string out;
  out.reserve((data.size() * 4 + 2) / 3);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : data) {
    bits = (bits << 8) | static_cast<unsigned char>(c);
    count += 8;
    while (count >= 6) {
      out.push_back(kBase64url[(bits >> (count - 6)) & 63]);
      count -= 6;
    }
  }
  if (count > 0) out.push_back(kBase64url[(bits << (6 - count)) & 63]);
  return out;
}

bool base64url_decode(std::string_view text, std::string& out) {
  out.clear();
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int value = base64url_value(c);
    if (value < 0) return false;
    bits = (bits << 6) | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      out.push_back(static_cast<char>((bits >> (count - 8)) & 255));
      count -= 8;
    }
  }
  // A lone sextet, or bits set beyond the last byte, is another text for the same bytes: refused.
  return count < 6 && (bits & ((1U << count) - 1)) == 0;
}

std::string hex(std::string_view data) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  out.reserve(data.size() * 2);
  for (const char c : data) {
    out.push_back(digits[static_cast<unsigned char>(c) >> 4]);
    out.push_back(digits[static_cast<unsigned char>(c) & 15]);
  }
  return out;
}

}  // namespace alcove
