// plm: the program. "plm [serve] [options]" is the daemon, "plm COMMAND" one of
// its clients.
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "app/client.h"
#include "app/config.h"
#include "app/daemon.h"
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
  if (!invocation) return usage_error(invocation.error());
  if (invocation->print) {
    std::cout << *invocation->print;
    return plm::exit_code::done;
  }
  return plm::run_daemon(invocation->config, PLM_VERSION);
}

}  // namespace

int main(int argc, char** argv) {
  plm::tune_allocator();
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << "plm: " << error.what() << '\n';
    return plm::exit_code::failed;
  }
}
