// The certificate by which the HTTP server shows who it is.
#pragma once

#include <string>

#include "base/error.h"

namespace plm {

struct TlsIdentity {
  std::string certificate_pem;  // the certificate, then those of its issuers
  std::string key_pem;          // its private key, without a passphrase; never shown
};

// Whether both can be read and belong together. Errors: invalid_argument, one line.
[[nodiscard]] Status check_identity(const TlsIdentity& identity);

// The versions and ciphers that are offered, as GnuTLS writes them: TLS 1.2 and 1.3.
inline constexpr auto kTlsPriorities = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

}  // namespace plm
