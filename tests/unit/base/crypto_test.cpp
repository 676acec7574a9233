#include "base/crypto.hpp"

#include "base/text.hpp"

#include <gtest/gtest.h>

#include <set>

namespace alcove {
namespace {

using namespace std::string_literals;

std::string hex_of(const Digest& digest) {
  return hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

TEST(crypto, sha256_agrees_with_fips_180) {
  EXPECT_EQ(hex_of(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex_of(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex_of(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hex_of(sha256(std::string(1'000'000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(crypto, hmac_agrees_with_rfc_4231) {
  struct Vector {
    std::string key;
    std::string text;
    std::string digest;
  };
  const Vector vectors[] = {
      {std::string(20, '\x0b'), "Hi There",
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {"Jefe", "what do ya want for nothing?",
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {std::string(20, '\xaa'), std::string(50, '\xdd'),
       "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      {"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19"s,
       std::string(50, '\xcd'), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
      {std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First",
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
      {std::string(131, '\xaa'),
       "This is a test using a larger than block-size key and a larger than block-size data. The key needs "
       "to be "
       "hashed before being used by the HMAC algorithm.",
       "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
  };
  for (const Vector& vector : vectors) EXPECT_EQ(hex_of(hmac_sha256(vector.key, vector.text)), vector.digest);
  EXPECT_EQ(hex_of(hmac_sha256({}, {})), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(crypto, a_jwt_is_what_others_make) {
  // The example that jwt.io has shown for years.
  EXPECT_EQ(jwt_hs256("your-256-bit-secret", R"({"sub":"1234567890","name":"John Doe","iat":1516239022})"),
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
            "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ."
            "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c");
}

TEST(crypto, base64url_agrees_with_rfc_4648) {
  const std::pair<std::string, std::string> vectors[] = {
      {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
      {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xFB\xFF\xBF", "-_-_"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(base64url(plain), encoded);
    std::string back;
    ASSERT_TRUE(base64url_decode(encoded, back));
    EXPECT_EQ(back, plain);
  }
}

TEST(crypto, base64url_has_one_text_for_each_value) {
  std::string out;
  for (const std::string& other :
       {"Zg=="s, "Zh"s, "Zm9"s, "Zm8="s, "Z"s, "Zm9vY"s, "Zm 9v"s, "Zm9v\n"s, "+/+/"s, "Zm9v\0"s, "Zé"s})
    EXPECT_FALSE(base64url_decode(other, out)) << other;
}

TEST(crypto, base64url_survives_every_byte) {
  for (std::size_t size = 0; size < 70; ++size) {
    const std::string plain = random_bytes(size);
    std::string back;
    ASSERT_TRUE(base64url_decode(base64url(plain), back));
    EXPECT_EQ(back, plain);
  }
}

TEST(crypto, base32_agrees_with_rfc_4648_in_lower_case) {
  // The vector for "foobar" is MZXW6YTBOI; a digest is 32 bytes, so its first 48 bits are looked at.
  Digest digest{};
  constexpr std::string_view text = "foobar";
  std::copy(text.begin(), text.end(), digest.begin());
  const std::string encoded = base32_lower(digest);
  EXPECT_EQ(encoded.substr(0, 9), "mzxw6ytbo");
  EXPECT_EQ(encoded.size(), 52U);
  digest.fill(0xFF);
  EXPECT_EQ(base32_lower(digest), std::string(51, '7') + "q");
}

TEST(crypto, compares_by_content_and_length) {
  EXPECT_TRUE(equal_constant_time("", ""));
  EXPECT_TRUE(equal_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_constant_time("abc", "ab"));
  EXPECT_FALSE(equal_constant_time("a\0b"s, "a\0c"s));
}

TEST(crypto, random_bytes_do_not_repeat) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(seen.insert(random_bytes(16)).second);
  EXPECT_EQ(random_bytes(0), "");
}

}  // namespace
}  // namespace alcove
