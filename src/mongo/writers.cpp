#include "mongo/writers.h"

#include <fmt/format.h>

#include <algorithm>

#include "mongo/current_op.h"
#include "mongo/cursor.h"
#include "mongo/write_command.h"

namespace plm::mongo {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr std::string_view kFencePrefix = "fence_";

std::string fence_prefix(Epoch epoch, WriterNumber writer) {
  return fmt::format("{}{}_{}_", kFencePrefix, epoch, writer);
}

// Nothing here waits for the majority: the confirmation of the lease does, in the
// same term.

void append_id_query(bson::Builder& statement, std::int32_t id) {
  auto query = statement.document("q");
  query->append("_id", id);
}

// {_id: writer, epoch}: says to later owners that the writer exists. Writing it
// in the writer's session is what shuts out older numbers; it has to change
// something, or the server would forget the number with the next election.
bson::Builder session_command(const Writer& writer, Epoch epoch) {
  bson::Builder command;
  command.append("update", kSessions);
  {
    auto updates = command.array("updates");
    auto statement = updates.document();
    append_id_query(*statement, writer.number);
    {
      auto change = statement->document("u");
      {
        auto set = change->document("$set");
        set->append("epoch", epoch);
      }
      auto numbers = change->document("$inc");
      numbers->append("uses", std::int64_t{1});
    }
    statement->append("upsert", true);
  }
  append_primary_write(command);
  return command;
}

Status advance_session(Connection& connection, Writer& writer, Epoch epoch) {
  bson::Builder command = session_command(writer, epoch);
  auto outcome = writer.session.write(connection, state_database(), command);
  if (!outcome.status) {
    Error error = std::move(outcome.status.error());
    if (error.server_code == server_code::transaction_too_old) error.code = ErrorCode::superseded;
    return fail(error.within("shutting out what was sent before"));
  }
  return first_write_error(outcome.reply.view());
}

Status drop_collection(Connection& connection, const std::string& name) {
  bson::Builder command;
  command.append("drop", name);
  append_primary_write(command);
  auto reply = connection.run(state_database(), command.view());
  if (reply || reply.error().code == ErrorCode::not_found) return {};
  return fail(reply.error().within("dropping a fence"));
}

Result<std::vector<std::string>> fences(Connection& connection) {
  bson::Builder list;
  list.append("listCollections", 1).append("nameOnly", true);
  std::vector<std::string> out;
  auto read = read_all(connection, state_database(), list.view(), [&](bson::View entry) {
    if (entry["name"].as_string().starts_with(kFencePrefix)) out.emplace_back(entry["name"].as_string());
  });
  if (!read) return fail(read.error().within("looking for fences"));
  return out;
}

Status create_fence(Connection& connection, const std::string& name) {
  bson::Builder create;
  create.append("create", name);
  append_primary_write(create);
  auto created = connection.run(state_database(), create.view());
  // From an attempt of ours whose answer was lost: nobody else has this name.
  if (!created && created.error().server_code != server_code::namespace_exists) return fail(created.error());
  bson::Builder fill;
  fill.append("update", name);
  {
    auto updates = fill.array("updates");
    auto statement = updates.document();
    append_id_query(*statement, 1);
    {
      auto document = statement->document("u");
      document->append("_id", 1).append("n", 1);
    }
    statement->append("upsert", true);
  }
  append_primary_write(fill);
  auto filled = connection.run(state_database(), fill.view());
  if (!filled) return fail(filled.error());
  return first_write_error(filled->view());
}

}  // namespace

// ---- One call ---------------------------------------------------------------------

void DataConnection::append_concern(bson::Builder& command, Wait wait) {
  if (wait == Wait::for_majority) {
    append_majority_write(command);
  } else {
    append_primary_write(command);
  }
}

// A command that ended with an error need not have waited.
void DataConnection::note(const Status& outcome, Wait wait) {
  if (!outcome && outcome.error().code == ErrorCode::network) past_ = Writer::Past::unknown;
  wait_owed_ = !outcome || wait == Wait::in_settle;
  term_matters_ = term_matters_ || wait_owed_;
}

Result<Reply> DataConnection::write(const std::string& database, bson::Builder& command, Wait wait) {
  append_concern(command, wait);
  auto outcome = writer_->session.write(connection_, database, command);
  note(outcome.status, wait);
  if (outcome.status) return std::move(outcome.reply);
  Error error = std::move(outcome.status.error());
  if (error.server_code == server_code::transaction_too_old) error.code = ErrorCode::superseded;
  return fail(std::move(error));
}

Connection::Outcome DataConnection::apply_ops(bson::Builder& command, Wait wait) {
  append_concern(command, wait);
  auto outcome = connection_.attempt("admin", command.view());
  note(outcome.status, wait);
  return outcome;
}

Status DataConnection::transact(const std::string& database, const bson::Document& statement) {
  const Status done = run_transaction(connection_, writer_->session, database, std::span(&statement, 1),
                                      [](std::size_t, bson::View reply) { return first_write_error(reply); });
  note(done, Wait::for_majority);
  return done;
}

Status DataConnection::settle() {
  if (wait_owed_) {
    if (auto waited = wait_for_majority(connection_); !waited) return fail(std::move(waited.error()));
    wait_owed_ = false;
  }
  if (!term_matters_) return {};
  if (auto same = expect_term(connection_, writer_->term); !same) return same;
  term_matters_ = false;
  return {};
}

void DataConnection::append_fence_operation(bson::Builder::ArrayScope& operations) const {
  auto entry = operations.document();
  entry->append("op", "u").append("ns", writer_->fence.ns.text());
  writer_->fence.uuid.append_to(*entry, "ui");
  {
    auto key = entry->document("o2");
    key->append("_id", 1);
  }
  auto update = entry->document("o");
  update->append("$v", 2);
  auto diff = update->document("diff");
  auto same = diff->document("u");
  same->append("n", 1);
}

Error DataConnection::fenced_off() {
  past_ = Writer::Past::unknown;
  return {ErrorCode::network, 0, {}, "the fence of this plm's writes is gone"};
}

// ---- All writers --------------------------------------------------------------------

Writer& Writers::writer(WriterNumber number) {
  auto& out = writers_[number];
  if (!out) out = std::make_unique<Writer>(number);
  return *out;
}

Status Writers::take_over(Epoch epoch) {
  auto connection = pool_->connect();
  if (!connection) return fail(connection.error());
  const std::lock_guard lock(mutex_);
  auto lease = read_lease(*connection);
  if (!lease) return fail(lease.error().within("taking over"));
  if (!*lease || (*lease)->key.epoch != epoch)
    return fail(ErrorCode::superseded, "another plm has taken over the target");
  lease_ = (*lease)->key;

  auto term = term_of(*connection);
  if (!term) return fail(std::move(term.error()));
  auto known = known_writers(*connection);
  if (!known) return fail(std::move(known.error()));
  for (const WriterNumber number : *known) (void)writer(number);
  free_.clear();
  for (const auto& [number, each] : writers_) {
    each->session.begin_epoch(lease_);
    each->past = Writer::Past::of_others;
    each->fence = {};
    each->comment.clear();
    free_.push_back(each.get());
    if (auto advanced = advance_session(*connection, *each, epoch); !advanced) return advanced;
  }
  auto old_fences = fences(*connection);
  if (!old_fences) return fail(std::move(old_fences.error()));
  for (const std::string& name : *old_fences) {
    if (auto dropped = drop_collection(*connection, name); !dropped) return dropped;
  }
  if (auto confirmed = confirm(*connection, *term); !confirmed) return confirmed;
  return wait_until_done(*connection, "^plm ");
}

Status Writers::confirm(Connection& connection) {
  const auto now = steady_clock::now();
  if (auto renewed = renew_lease(connection, lease_); !renewed) return renewed;
  confirmed_at_ = now;
  return {};
}

Status Writers::confirm(Connection& connection, Term& term) {
  if (auto confirmed = confirm(connection); !confirmed) return confirmed;
  return expect_term(connection, term);
}

Epoch Writers::epoch() {
  const std::lock_guard lock(mutex_);
  return lease_.epoch;
}

Status Writers::confirm_lease(seconds at_most_ago) {
  const std::lock_guard lock(mutex_);
  if (steady_clock::now() - confirmed_at_ < at_most_ago) return {};
  auto connection = pool_->connect();
  if (!connection) return fail(connection.error());
  return confirm(*connection);
}

Status Writers::make_fence(Connection& connection, Writer& writer) {
  const std::string name = fence_prefix(lease_.epoch, writer.number) + std::to_string(writer.generation);
  if (auto created = create_fence(connection, name); !created) return fail(created.error().within("creating a fence"));
  writer.fence.ns = {state_database(), name};
  auto uuid = catalog_.uuid_of(writer.fence.ns);
  if (!uuid) return fail(uuid.error().within("creating a fence"));
  writer.fence.uuid = *uuid;
  return {};
}

// A fence of an attempt that failed, or was rolled back, goes with the others.
Status Writers::shut_out_past(Connection& connection, Writer& writer, std::span<const std::string> all_fences) {
  const std::string prefix = fence_prefix(lease_.epoch, writer.number);
  for (const std::string& name : all_fences) {
    if (!name.starts_with(prefix)) continue;
    if (auto dropped = drop_collection(connection, name); !dropped) return dropped;
  }
  ++writer.generation;
  if (auto made = make_fence(connection, writer); !made) return made;
  return advance_session(connection, writer, lease_.epoch);
}

Status Writers::begin_anew(Connection& connection, std::span<Writer* const> writers) {
  auto term = term_of(connection);
  if (!term) return fail(std::move(term.error()));
  auto all_fences = fences(connection);
  if (!all_fences) return fail(std::move(all_fences.error()));
  for (Writer* each : writers) {
    if (auto shut = shut_out_past(connection, *each, *all_fences); !shut) return shut;
  }
  if (auto confirmed = confirm(connection, *term); !confirmed) return confirmed;
  // What has not reached the server yet finds its fence gone.
  for (Writer* each : writers) {
    if (each->comment.empty()) continue;
    if (auto done = wait_until_done(connection, fmt::format("^{}$", each->comment)); !done) return done;
  }
  for (Writer* each : writers) {
    each->comment = fmt::format("plm {} {} {}", lease_.epoch, each->number, each->generation);
    each->past = Writer::Past::known;
    each->term = *term;
  }
  return {};
}

// With the lock held: nobody begins to send anything meanwhile.
Status Writers::make_certain(Connection& connection) {
  std::vector<Writer*> uncertain;
  for (const auto& [number, each] : writers_) {
    if (each->past == Writer::Past::unknown) uncertain.push_back(each.get());
  }
  return uncertain.empty() ? Status() : begin_anew(connection, uncertain);
}

Result<Writer*> Writers::certain_writer(Connection& connection) {
  if (auto certain = make_certain(connection); !certain) return fail(std::move(certain.error()));
  if (free_.empty()) {
    WriterNumber number = kStateWriter + 1;
    for (const auto& [used, each] : writers_) number = std::max(number, used + 1);
    Writer& fresh = writer(number);
    fresh.session.begin_epoch(lease_);
    free_.push_back(&fresh);
  }
  Writer* out = free_.back();
  if (out->past != Writer::Past::known) {
    if (auto begun = begin_anew(connection, std::span(&out, 1)); !begun) return fail(std::move(begun.error()));
  }
  free_.pop_back();
  return out;
}

Result<DataConnection> Writers::lend() {
  auto connection = pool_->connect();
  if (!connection) return fail(connection.error());
  const std::uint64_t seen = attempts_;
  const std::lock_guard lock(mutex_);
  if (attempts_ != seen && last_error_) return fail(*last_error_);
  auto lent = certain_writer(*connection);
  last_error_.reset();
  if (!lent) {
    ++attempts_;
    last_error_ = lent.error();
    return fail(std::move(lent.error()));
  }
  return DataConnection(std::move(*connection), **lent, [this, writer = *lent](Writer::Past past) {
    const std::lock_guard returned(mutex_);
    writer->past = past;
    free_.push_back(writer);
  });
}

}  // namespace plm::mongo
