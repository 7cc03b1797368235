// What other users of the machine can see of a process: its command line, in
// /proc/PID/cmdline and in core dumps; and its environment, which is less open.
#pragma once

#include <span>

namespace plm {

// Replaces the secrets of a connection string in place: "mongodb://u:***@h", or
// as many "*" where that is too long. Other texts stay as they are.
void hide_secrets(char* text);

// Of the arguments that main() got, in the process's own memory.
void hide_secrets(std::span<char* const> arguments);

// Of the environment variables that hold connection strings. Before there is a second thread.
void hide_secrets_of_environment();

}  // namespace plm
