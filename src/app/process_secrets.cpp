#include "app/process_secrets.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "app/settings.h"
#include "mongo/uri.h"

namespace plm {

void hide_secrets(char* text) {
  const std::string whole = text;
  if (showable(whole) == whole) return;
  std::string shown = redacted(whole);
  if (shown == whole) return;
  if (shown.size() > whole.size()) shown.assign(whole.size(), '*');
  shown.resize(whole.size(), '\0');
  std::ranges::copy(shown, text);
}

void hide_secrets(std::span<char* const> arguments) {
  for (char* argument : arguments) hide_secrets(argument);
}

void hide_secrets_of_environment() {
  for (const Option& option : daemon_options()) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): there is no second thread yet
    if (char* value = std::getenv(option.variable.c_str()); value != nullptr) hide_secrets(value);
  }
}

}  // namespace plm
