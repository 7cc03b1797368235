#include "mongo/insert_command.h"

#include <algorithm>
#include <iterator>

#include "mongo/document_array.h"
#include "mongo/error_translation.h"
#include "mongo/write_command.h"
#include "mongo/zero_timestamp.h"

namespace plm::mongo {
namespace {

bool fits_one_command(bson::View documents) {
  const ArraySummary summary = summarize(documents);
  return summary.count == 1 || (summary.count <= kMaxInsertDocuments && documents.size() <= kMaxInsertBytes);
}

// A unique index other than that of _id is not ours to overwrite.
bool is_duplicate_id(bson::View entry) {
  if (entry["code"].as_int64() != server_code::duplicate_key) return false;
  const bson::View pattern = entry["keyPattern"].as_document();
  const auto first = pattern.begin();
  return first != pattern.end() && first->key == "_id";
}

Status read_write_errors(bson::View reply, std::size_t first_position, InsertOutcome& outcome) {
  for (const bson::Element& element : reply["writeErrors"].as_document()) {
    const bson::View entry = element.value.as_document();
    const std::size_t position = first_position + static_cast<std::size_t>(entry["index"].as_int64());
    if (is_duplicate_id(entry)) {
      outcome.duplicates.push_back(position);
      continue;
    }
    Error error = write_error(entry);
    if (error.server_code == server_code::collection_uuid_mismatch || retryable(error)) return fail(std::move(error));
    outcome.failures.push_back(rejected(position, std::move(error)));
  }
  return {};
}

Status insert_array(const SendInsert& send, const Twin& twin, bson::View documents, std::size_t first_position,
                    InsertOutcome& outcome) {
  bson::Builder command(documents.size() + 1024);
  command.append("insert", twin.ns.collection);
  command.append_array("documents", documents);
  command.append("ordered", false).append("bypassDocumentValidation", true);
  twin.uuid.append_to(command, "collectionUUID");
  auto reply = send(twin.ns.database, command);
  if (!reply) return fail(reply.error());
  return read_write_errors(reply->view(), first_position, outcome);
}

// Cuts the array into ones that fit.
Status insert_in_parts(const SendInsert& send, const Twin& twin, bson::View documents, InsertOutcome& outcome) {
  auto rest = documents.begin();
  std::size_t position = 0;
  while (rest != documents.end()) {
    bson::Builder part(kMaxInsertBytes);
    std::int64_t count = 0;
    {
      auto array = part.array("documents");
      while (rest != documents.end() && count < kMaxInsertDocuments) {
        const bson::View document = rest->value.as_document();
        if (count > 0 && part.size_bytes() + document.size() > kMaxInsertBytes) break;
        array.append(document);
        ++count;
        ++rest;
      }
    }
    auto inserted = insert_array(send, twin, part.view()["documents"].as_document(), position, outcome);
    if (!inserted) return inserted;
    position += static_cast<std::size_t>(count);
  }
  return {};
}

}  // namespace

Result<InsertOutcome> insert_documents(const SendInsert& send, const Twin& twin, bson::View documents) {
  InsertOutcome outcome;
  const Status inserted = fits_one_command(documents) ? insert_array(send, twin, documents, 0, outcome)
                                                      : insert_in_parts(send, twin, documents, outcome);
  if (!inserted) return fail(inserted.error());
  return outcome;
}

std::vector<std::size_t> not_stored(InsertOutcome& outcome, bson::View documents) {
  std::vector<std::size_t> positions = with_zero_timestamp(documents);
  std::ranges::move(outcome.duplicates, std::back_inserter(positions));
  std::ranges::sort(positions);
  const auto repeated = std::ranges::unique(positions);
  positions.erase(repeated.begin(), repeated.end());
  return positions;
}

}  // namespace plm::mongo
