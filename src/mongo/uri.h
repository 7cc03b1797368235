// Connection strings. The driver alone decides what is well-formed; nothing
// here or in its messages shows a password.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace plm {

struct ParsedUri {
  std::string text;                // as given: holds the secrets
  std::string redacted;            // for logs and reports
  std::vector<std::string> hosts;  // "host:port"; of an SRV record: the name to look up
  std::string replica_set;         // empty: not named
  std::string user;                // empty: none
};

// Looks whether the files of certificates that it names can be read. Errors:
// invalid_argument, one line that says what is wrong without quoting secrets.
Result<ParsedUri> parse_uri(const std::string& text);

// The URI with its user kept and everything secret replaced by "***". Works on
// malformed text, too: what lies before the last "@" is then hidden whole.
std::string redacted(const std::string& uri);

}  // namespace plm
