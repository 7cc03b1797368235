#include "api/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/test_certificate.h"

namespace plm {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Tls, TakesACertificateAndItsKey) { EXPECT_TRUE(check_identity(make_test_identity())); }

TEST(Tls, RefusesWhatDoesNotBelongTogether) {
  const TlsIdentity one = make_test_identity();
  const TlsIdentity other = make_test_identity();
  const auto checked = check_identity({one.certificate_pem, other.key_pem});
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(checked.error().message, "the certificate and the private key do not belong together");
}

TEST(Tls, RefusesWhatIsNoCertificateInOneLine) {
  const TlsIdentity good = make_test_identity();
  for (const TlsIdentity& bad :
       {TlsIdentity{}, TlsIdentity{"text", good.key_pem}, TlsIdentity{good.certificate_pem, "text"},
        TlsIdentity{good.key_pem, good.certificate_pem}, TlsIdentity{good.certificate_pem, ""}}) {
    const auto checked = check_identity(bad);
    ASSERT_FALSE(checked);
    EXPECT_THAT(checked.error().message, HasSubstr("cannot be used: "));
    EXPECT_THAT(checked.error().message, Not(HasSubstr("\n")));
  }
}

}  // namespace
}  // namespace plm
