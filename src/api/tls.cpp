#include "api/tls.h"

#include <fmt/format.h>
#include <gnutls/gnutls.h>

#include <memory>

namespace plm {

namespace {

// GnuTLS takes what it does not change by a pointer that is not const.
gnutls_datum_t datum(const std::string& text) {
  return {reinterpret_cast<unsigned char*>(const_cast<char*>(text.data())), static_cast<unsigned>(text.size())};
}

}  // namespace

Status check_identity(const TlsIdentity& identity) {
  gnutls_certificate_credentials_t raw = nullptr;
  if (gnutls_certificate_allocate_credentials(&raw) != GNUTLS_E_SUCCESS)
    return fail(ErrorCode::invalid_argument, "TLS does not work here");
  const std::unique_ptr<std::remove_pointer_t<gnutls_certificate_credentials_t>,
                        decltype(&gnutls_certificate_free_credentials)>
      credentials(raw, &gnutls_certificate_free_credentials);
  const gnutls_datum_t certificate = datum(identity.certificate_pem);
  const gnutls_datum_t key = datum(identity.key_pem);
  const int result = gnutls_certificate_set_x509_key_mem(raw, &certificate, &key, GNUTLS_X509_FMT_PEM);
  if (result >= 0) return {};
  if (result == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
    return fail(ErrorCode::invalid_argument, "the certificate and the private key do not belong together");
  return fail(ErrorCode::invalid_argument,
              fmt::format("the certificate and the private key cannot be used: {}", gnutls_strerror(result)));
}

}  // namespace plm
