// The lease as two documents of the collection "lease". The first names the
// owner and the epoch; every save touches it, so that a save and a taking of the
// lease cannot both succeed. The second is the owner's sign of life, apart from
// the first because renewals must neither wait for a long save nor make it fail.
//
//   {_id: "lease", v: 1, epoch: 7, sessions: UUID, owner: {id, host, machine, pid, started},
//    saves: 4711, taken_at}
//   {_id: "heartbeat", epoch: 7, sessions: UUID, renewals: 12, renewed_at}
#pragma once

#include <optional>
#include <vector>

#include "mongo/connection.h"
#include "seams/lease.h"

namespace plm::mongo {

// What an owner shows with each write. Epochs begin anew when somebody drops the
// state database; the name of the sessions, drawn at random with the document,
// is another one then.
struct LeaseKey {
  Uuid sessions;
  Epoch epoch = 0;
};

struct FoundLease {
  LeaseKey key;
  LeaseSight sight;
};
// None: there is none yet. Errors: stored_format, when a newer plm wrote it.
Result<std::optional<FoundLease>> read_lease(Connection& connection);
// Makes one that nobody has. Not an error when there is one.
Status create_lease(Connection& connection);

// Statements for a transaction. The first one misses (n is 0) when the lease is
// another than `seen`.
std::vector<bson::Document> take_statements(const LeaseOwner& owner, const LeaseKey& seen);
bson::Document touch_statement(const LeaseKey& key);

// Acknowledged by a majority: the lease was ours behind all that the caller had
// done before. Errors: superseded.
Status renew_lease(Connection& connection, const LeaseKey& key);
// Not an error when it is not ours.
Status release_lease(Connection& connection, const LeaseKey& key);

// Judges a transaction whose first statement is one of these. Errors: superseded.
Status judge_under_lease(std::size_t statement, bson::View reply);

}  // namespace plm::mongo
