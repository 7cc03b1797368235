// Who this process is, for the lease on the target.
#pragma once

#include "seams/lease.h"

namespace plm {

// A new identity with each call.
[[nodiscard]] LeaseOwner this_process();

// Whether `other` was a process of the machine, and of the space of process
// numbers, of `self`, and is no more. False when that cannot be known.
[[nodiscard]] bool is_gone(const LeaseOwner& other, const LeaseOwner& self);

}  // namespace plm
