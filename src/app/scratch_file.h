// A file for one test, removed at its end.
#pragma once

#include <unistd.h>
#include <cstdlib>
#include <fstream>
#include <string>

namespace plm {

class ScratchFile {
 public:
  explicit ScratchFile(const std::string& text) {
    const int fd = mkstemp(path_.data());
    if (fd >= 0) close(fd);
    std::ofstream(path_) << text;
  }
  ~ScratchFile() { unlink(path_.c_str()); }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  ScratchFile(ScratchFile&&) = delete;
  ScratchFile& operator=(ScratchFile&&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/plm-test-XXXXXX";
};

}  // namespace plm
