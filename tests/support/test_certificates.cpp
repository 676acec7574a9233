// Certificates for tests, made with OpenSSL: see api_stand_in.hpp.
#include "tests/support/api_stand_in.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <memory>
#include <stdexcept>

namespace alcove::test {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string pem(X509* certificate) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), &BIO_free);
  PEM_write_bio_X509(bio.get(), certificate);
  return text_of(bio.get());
}

std::string pem(EVP_PKEY* key) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), &BIO_free);
  PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(bio.get());
}

void add(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  if (extension == nullptr) throw std::runtime_error(std::string("no such extension: ") + value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

enum class Use { ca, server, client };

// `issuer`: null: it signs itself.
Certificate make(Use use, EVP_PKEY* key, const char* name, X509* issuer, EVP_PKEY* issuer_key) {
  static std::atomic<long> made = 0;
  Certificate out(X509_new(), &X509_free);
  X509_set_version(out.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(out.get()), ++made);
  X509_gmtime_adj(X509_getm_notBefore(out.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(out.get()), 86'400);
  X509_set_pubkey(out.get(), key);
  X509_NAME* subject = X509_get_subject_name(out.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name), -1,
                             -1, 0);
  X509_set_issuer_name(out.get(), issuer == nullptr ? subject : X509_get_subject_name(issuer));
  X509* signs = issuer == nullptr ? out.get() : issuer;
  // Without these two another CA of the same name would be taken for the issuer.
  add(out.get(), signs, NID_subject_key_identifier, "hash");
  if (issuer != nullptr) add(out.get(), signs, NID_authority_key_identifier, "keyid:always");
  if (use == Use::ca) add(out.get(), signs, NID_basic_constraints, "critical,CA:TRUE");
  if (use == Use::server) add(out.get(), signs, NID_subject_alt_name, "IP:127.0.0.1,DNS:api.test.localhost");
  X509_sign(out.get(), issuer_key, EVP_sha256());
  return out;
}

Key make_key() {
  return {EVP_EC_gen("P-256"), &EVP_PKEY_free};
}

}  // namespace

TestCertificates make_test_certificates(bool intermediate) {
  const Key root_key = make_key();
  const Key ca_key = make_key();
  const Key server_key = make_key();
  const Key client_key = make_key();
  const Certificate root = make(Use::ca, root_key.get(), "root", nullptr, root_key.get());
  const Certificate ca = intermediate ? make(Use::ca, ca_key.get(), "ca", root.get(), root_key.get())
                                      : make(Use::ca, ca_key.get(), "ca", nullptr, ca_key.get());
  const Certificate server = make(Use::server, server_key.get(), "stand-in", ca.get(), ca_key.get());
  const Certificate client = make(Use::client, client_key.get(), "alcove", ca.get(), ca_key.get());
  return {pem(ca.get()), pem(server.get()), pem(server_key.get()), pem(client.get()), pem(client_key.get())};
}

}  // namespace alcove::test
