#include "mongo/insert_command.h"

#include <algorithm>
#include <cstdint>

#include "mongo/document_array.h"
#include "mongo/error_translation.h"
#include "mongo/write_command.h"
#include "mongo/zero_timestamp.h"

namespace plm::mongo {
namespace {

// Of an insert command: at most so many documents, and so large an array of several.
// A server that finds every document of a command a duplicate answers with an error
// for each, key included; a reply beyond 16 MB makes it drop the connection. So a
// command stays well below what the server would take.
constexpr std::int64_t kMaxDocuments = 20'000;
constexpr std::size_t kMaxArrayBytes = 8U << 20U;
constexpr std::size_t kElementBytes = 8;  // type and key of an array's element

bool fits_one_command(bson::View documents) {
  const ArraySummary summary = summarize(documents);
  return summary.count == 1 || (summary.count <= kMaxDocuments && documents.size() <= kMaxArrayBytes);
}

// How many of the first operations one command holds.
std::size_t fitting_one_command(std::span<const TargetOperation> operations) {
  std::size_t bytes = 0;
  std::size_t count = 0;
  while (count < operations.size() && count < static_cast<std::size_t>(kMaxDocuments)) {
    bytes += operations[count].body.size() + kElementBytes;
    if (count > 0 && bytes > kMaxArrayBytes) break;
    ++count;
  }
  return count;
}

// {documents: [...]}
bson::Document array_of(std::span<const TargetOperation> operations) {
  std::size_t bytes = 64;
  for (const TargetOperation& operation : operations) bytes += operation.body.size() + kElementBytes;
  bson::Builder holder(bytes);
  {
    auto documents = holder.array("documents");
    for (const TargetOperation& operation : operations) documents.append(operation.body);
  }
  return holder.take();
}

// A unique index other than that of _id is not ours to overwrite. In a clustered
// collection the server (6.0) fails to read the key that it wants to name, without
// its types, when that is a fraction, NaN, or infinite.
bool is_duplicate_id(bson::View entry) {
  const std::int64_t code = entry["code"].as_int64();
  if (code >= server_code::first_of_key_format && code <= server_code::last_of_key_format) return true;
  if (code != server_code::duplicate_key) return false;
  const bson::View pattern = entry["keyPattern"].as_document();
  const auto first = pattern.begin();
  return first != pattern.end() && first->key == "_id";
}

Status read_write_errors(bson::View reply, std::size_t first_position, InsertOutcome& outcome) {
  for (const bson::Element& element : reply["writeErrors"].as_document()) {
    const bson::View entry = element.value.as_document();
    const std::size_t position = first_position + static_cast<std::size_t>(entry["index"].as_int64());
    if (is_duplicate_id(entry)) {
      outcome.not_stored.push_back(position);
      continue;
    }
    Error error = write_error(entry);
    if (error.server_code == server_code::collection_uuid_mismatch || retryable(error)) return fail(std::move(error));
    outcome.failures.push_back(rejected(position, std::move(error)));
  }
  return {};
}

Status insert_array(const SendInsert& send, InsertPlace place, const Twin& twin, bson::View documents,
                    std::size_t first_position, InsertOutcome& outcome) {
  bson::Builder command(documents.size() + 1024);
  command.append("insert", twin.ns.collection);
  command.append_array("documents", documents);
  command.append("ordered", false).append("bypassDocumentValidation", true);
  twin.uuid.append_to(command, "collectionUUID");
  auto reply = send(twin.ns.database, command, place);
  if (!reply) return fail(reply.error());
  for (const std::size_t position : with_zero_timestamp(documents)) {
    outcome.not_stored.push_back(first_position + position);
  }
  return read_write_errors(reply->view(), first_position, outcome);
}

InsertOutcome in_order(InsertOutcome outcome) {
  std::ranges::sort(outcome.not_stored);
  const auto repeated = std::ranges::unique(outcome.not_stored);
  outcome.not_stored.erase(repeated.begin(), repeated.end());
  return outcome;
}

}  // namespace

Result<InsertOutcome> insert_documents(const SendInsert& send, const Twin& twin, bson::View documents) {
  if (!fits_one_command(documents)) {
    return insert_documents(send, operations_of(TargetOperation::Kind::insert, twin, documents));
  }
  InsertOutcome outcome;
  auto inserted = insert_array(send, InsertPlace::last, twin, documents, 0, outcome);
  if (!inserted) return fail(std::move(inserted.error()));
  return in_order(std::move(outcome));
}

Result<InsertOutcome> insert_documents(const SendInsert& send, std::span<const TargetOperation> operations) {
  InsertOutcome outcome;
  std::size_t position = 0;
  while (position < operations.size()) {
    const auto rest = operations.subspan(position);
    const auto part = rest.first(fitting_one_command(rest));
    const InsertPlace place = part.size() == rest.size() ? InsertPlace::last : InsertPlace::before_others;
    const bson::Document holder = array_of(part);
    auto inserted = insert_array(send, place, *part.front().twin, holder["documents"].document(), position, outcome);
    if (!inserted) return fail(std::move(inserted.error()));
    position += part.size();
  }
  return in_order(std::move(outcome));
}

std::vector<TargetOperation> operations_of(TargetOperation::Kind kind, const Twin& twin, bson::View documents) {
  std::vector<TargetOperation> out;
  for (const bson::Element& element : documents) {
    const bson::View document = element.value.as_document();
    out.push_back({kind, &twin, document["_id"], document});
  }
  return out;
}

}  // namespace plm::mongo
