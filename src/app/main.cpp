// plm: the program. "plm [serve] [options]" is the daemon, "plm COMMAND" one of
// its clients.
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "app/client.h"
#include "app/config.h"
#include "app/daemon.h"
#include "app/process_secrets.h"
#include "mongo/runtime.h"

namespace {

int usage_error(const plm::Error& error) {
  std::cerr << "plm: " << error.message << '\n';
  return plm::exit_code::usage;
}

int run(std::vector<std::string> arguments) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): read before there is a second thread
  const plm::Environment environment = [](const char* name) { return std::getenv(name); };
  if (!arguments.empty() && plm::is_client_command(arguments.front())) {
    const auto command = plm::parse_client_arguments(arguments, environment, PLM_VERSION);
    if (!command) return usage_error(command.error());
    return plm::run_client(*command, {std::cout, std::cerr, isatty(STDOUT_FILENO) == 1});
  }
  if (!arguments.empty() && arguments.front() == "serve") arguments.erase(arguments.begin());
  const auto invocation = plm::configure_daemon(arguments, environment, PLM_VERSION);
  plm::hide_secrets_of_environment();
  if (!invocation) return usage_error(invocation.error());
  if (invocation->print) {
    std::cout << *invocation->print;
    return plm::exit_code::done;
  }
  return plm::run_daemon(invocation->config, PLM_VERSION);
}

// The driver keeps counters for tools of its own in shared memory named by the
// process's number. A killed process leaves that behind, and a later one with
// the same number complains on standard error, while its libraries are loaded.
// So the name is removed before that, and again when the driver has made it.
void remove_driver_counters() {
  std::array<char, 64> path{};
  (void)std::snprintf(path.data(), path.size(), "/dev/shm/mongoc-%d", static_cast<int>(getpid()));
  unlink(path.data());
}
[[gnu::section(".preinit_array"), gnu::used]] void (*const before_libraries)() = &remove_driver_counters;

}  // namespace

int main(int argc, char** argv) {
  plm::tune_allocator();
  remove_driver_counters();
  try {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    plm::hide_secrets(std::span(argv + 1, argv + argc));
    return run(std::move(arguments));
  } catch (const std::exception& error) {
    std::cerr << "plm: " << error.what() << '\n';
    return plm::exit_code::failed;
  }
}
