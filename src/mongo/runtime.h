// The C driver's process-wide state and the allocator's settings.
#pragma once

namespace plm {

// Lets the allocator keep the buffers of replies and commands, but for the very
// large ones, instead of giving each back to the kernel: reading costs a quarter of
// the CPU. First thing in main, before any thread.
void tune_allocator();

namespace mongo {

// Starts the driver once in the life of the process and sends its log lines to
// ours, at debug level. Whoever uses the driver calls it first. Any thread.
void ensure_runtime();

}  // namespace mongo
}  // namespace plm
