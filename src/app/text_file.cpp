#include "app/text_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace plm {

Result<std::string> read_text_file(const std::string& path) {
  // Not a stream of the standard library: those do not say why they fail.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::string out;
  char buffer[4096];
  ssize_t count = fd < 0 ? -1 : 1;
  while (count > 0) {
    count = read(fd, buffer, sizeof buffer);
    if (count > 0) out.append(buffer, static_cast<std::size_t>(count));
  }
  const int error = errno;
  if (fd >= 0) close(fd);
  if (count < 0)
    return fail(ErrorCode::invalid_argument,
                fmt::format("cannot read {}: {}", path, std::generic_category().message(error)));
  return out;
}

}  // namespace plm
