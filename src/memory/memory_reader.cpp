#include "memory/memory_reader.h"

#include <string>
#include <utility>

namespace plm {

namespace {

// Collects the documents of a batch.
class BatchWriter {
 public:
  void add(const DocumentPtr& document) {
    builder_.append(std::to_string(batch_.count), *document);
    ++batch_.count;
    batch_.size_bytes += static_cast<std::int64_t>(document->size_bytes());
  }
  [[nodiscard]] std::int64_t count() const { return batch_.count; }
  [[nodiscard]] std::int64_t bytes() const { return batch_.size_bytes; }
  DocumentBatch finish(bool exhausted, ClusterTime read_time) {
    auto bytes = std::make_shared<const bson::Document>(builder_.take());
    batch_.documents = bytes->view();
    for (const bson::Element& document : batch_.documents) batch_.last_id = document.value.document()["_id"];
    batch_.bytes = std::move(bytes);
    batch_.exhausted = exhausted;
    batch_.read_time = read_time;
    return std::move(batch_);
  }

 private:
  bson::Builder builder_;
  DocumentBatch batch_;
};

}  // namespace

Result<DocumentBatch> MemoryReader::next() {
  if (dead_) return fail(server_error(server_code::cursor_not_found, "cursor not found"));
  interfere_();
  auto batch = faults_.call([&]() -> Result<DocumentBatch> {
    if (faults_.reader_dies()) return fail(faults_.interrupted());
    return read_batch();
  });
  // A getMore is never sent twice, so whatever fails has ended the cursor.
  dead_ = !batch;
  return batch;
}

Result<DocumentBatch> MemoryReader::read_batch() {
  BatchWriter batch;
  while (batch.count() < place_.batch_documents && (place_.batch_bytes == 0 || batch.bytes() < place_.batch_bytes)) {
    const MemoryCollection* collection = deployment_.find(place_.uuid);
    if (collection == nullptr || collection->ns != place_.ns) {
      return fail(server_error(server_code::query_plan_killed, "collection renamed or dropped"));
    }
    auto document = place_.natural_order ? next_in_natural_order(*collection) : next_by_id(*collection);
    if (!document) return fail(std::move(document.error()));
    if (*document == nullptr) return batch.finish(true, deployment_.now());
    batch.add(*document);
    interfere_();
  }
  return batch.finish(false, deployment_.now());
}

Result<DocumentPtr> MemoryReader::next_by_id(const MemoryCollection& collection) {
  const MemoryDocuments& documents = collection.documents;
  auto at = documents.begin();
  if (last_id_) {
    at = documents.upper_bound(last_id_.value());
  } else if (place_.bounds.min) {
    at = documents.lower_bound(place_.bounds.min.value());
  }
  const bool within = at != documents.end() &&
                      (!place_.bounds.max || documents.key_comp()(at->first.value(), place_.bounds.max.value()));
  if (!within) return nullptr;
  last_id_ = at->first;
  return at->second.document;
}

Result<DocumentPtr> MemoryReader::next_in_natural_order(const MemoryCollection& collection) {
  const std::vector<MemoryDocument> rest = collection.natural_order(last_position_ == 0 ? 0 : last_position_ - 1);
  const bool on_last = !rest.empty() && rest.front().position == last_position_;
  if (last_position_ != 0 && !on_last) {
    return fail(server_error(server_code::capped_position_lost, "position in capped collection being deleted"));
  }
  const std::size_t next = on_last ? 1 : 0;
  if (next == rest.size()) return nullptr;
  last_position_ = rest[next].position;
  return rest[next].document;
}

}  // namespace plm
