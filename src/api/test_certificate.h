// A certificate for 127.0.0.1 and localhost that signs itself, made anew for a test.
#pragma once

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <gtest/gtest.h>

#include <array>
#include <ctime>
#include <string>

#include "api/tls.h"

namespace plm {

inline TlsIdentity make_test_identity() {
  gnutls_x509_privkey_t key = nullptr;
  gnutls_x509_crt_t certificate = nullptr;
  const std::array<unsigned char, 4> address = {127, 0, 0, 1};
  const std::time_t now = std::time(nullptr);
  EXPECT_EQ(gnutls_x509_privkey_init(&key), 0);
  EXPECT_EQ(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0), 0);
  EXPECT_EQ(gnutls_x509_crt_init(&certificate), 0);
  gnutls_x509_crt_set_version(certificate, 3);
  gnutls_x509_crt_set_serial(certificate, "\x01", 1);
  gnutls_x509_crt_set_activation_time(certificate, now - 3600);
  gnutls_x509_crt_set_expiration_time(certificate, now + 3600);
  gnutls_x509_crt_set_dn(certificate, "CN=plm test", nullptr);
  gnutls_x509_crt_set_basic_constraints(certificate, 1, -1);
  gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, "localhost", 9, GNUTLS_FSAN_SET);
  gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_IPADDRESS, address.data(), address.size(),
                                       GNUTLS_FSAN_APPEND);
  EXPECT_EQ(gnutls_x509_crt_set_key(certificate, key), 0);
  EXPECT_EQ(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0), 0);

  TlsIdentity out;
  gnutls_datum_t text{};
  EXPECT_EQ(gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &text), 0);
  out.certificate_pem.assign(reinterpret_cast<const char*>(text.data), text.size);
  gnutls_free(text.data);
  EXPECT_EQ(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &text), 0);
  out.key_pem.assign(reinterpret_cast<const char*>(text.data), text.size);
  gnutls_free(text.data);
  gnutls_x509_crt_deinit(certificate);
  gnutls_x509_privkey_deinit(key);
  return out;
}

}  // namespace plm
