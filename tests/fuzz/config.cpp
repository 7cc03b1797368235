// The configuration file, and what becomes of its settings.
#include "app/config.h"

#include "app/toml_file.h"
#include "fuzz.h"
#include "mongo/uri.h"

using namespace plm;

namespace {

// Files that the settings name are not read here.
bool names_a_file(std::string_view option) {
  return option.ends_with("-file") || option == "api-tls-cert" || option == "api-tls-key";
}

void check_line(const Error& error) {
  CHECK(error.code == ErrorCode::invalid_argument);
  CHECK(!error.message.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto settings = parse_toml(fuzz::text_of(data, size), "plm.toml");
  if (!settings) {
    check_line(settings.error());
    return 0;
  }
  std::erase_if(*settings, [](const auto& entry) { return names_a_file(entry.first); });
  for (const auto& name : {"source", "target"}) {
    if (settings->contains(name) && settings->at(name).values.size() == 1)
      (void)redacted(settings->at(name).values.front());
  }
  const auto config = make_config(*settings);
  if (!config) {
    check_line(config.error());
    return 0;
  }
  CHECK(config->port > 0 && config->memory_limit_bytes >= kLeastMemoryBytes);
  CHECK(config->api_token.empty() &&
        (config->listen.starts_with("127.") || config->listen.find(':') != std::string::npos));
  return 0;
}
