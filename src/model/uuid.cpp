#include "model/uuid.h"

namespace plm {

std::string Uuid::text() const {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < bytes_.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += digits[bytes_[i] >> 4U];
    out += digits[bytes_[i] & 15U];
  }
  return out;
}

}  // namespace plm
