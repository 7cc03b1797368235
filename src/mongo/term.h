// Several writes that wait for the majority once. What a primary has written is
// acknowledged when something that it wrote later, in the same term, is: members
// that have the later write have all before it. In another term the earlier ones
// may have been rolled back, so that they are to be done again.
//
// A majority usually takes milliseconds to acknowledge, but half a second at a time
// for half a minute after a primary froze (seen on 6.0.5): the other members still
// report to it.
#pragma once

#include <cstdint>
#include <vector>

#include "mongo/connection.h"

namespace plm::mongo {

// The electionId of the primary, which no other term of the set has.
using Term = std::vector<std::uint8_t>;

Result<Term> term_of(Connection& connection);

// Fails when it is another one, which `term` is then: what was written since it was
// asked for may be lost. To be tried again, with nothing of unknown outcome.
Status expect_term(Connection& connection, Term& term);

}  // namespace plm::mongo
