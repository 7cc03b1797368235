#include "engine/operation.h"

#include <utility>

#include "base/check.h"
#include "bson/order.h"
#include "engine/working_name.h"

namespace plm {

namespace {

// Bytes of an operation apart from its document: for budgets.
constexpr std::uint32_t kOverheadBytes = sizeof(Operation) + 64;

bool begins_with_id(bson::View document) {
  const auto first = document.begin();
  return first != document.end() && first->key == "_id";
}

// The oplog has a replacement as the update made it, a pipeline perhaps with its
// _id at the end. The server stores _id first; only an insertion keeps its place.
void take_stored_form(Operation& operation) {
  bson::Builder document(operation.body.size() + 64);
  document.append("_id", operation.body["_id"]);
  for (const bson::Element& field : operation.body) {
    if (field.key != "_id") document.append(field.key, field.value);
  }
  operation.body = document.view();
  operation = detached(operation);
}

}  // namespace

std::shared_ptr<const CollectionRef> make_ref(const CollectionSpec& spec, const Twin& twin) {
  return std::make_shared<const CollectionRef>(CollectionRef{spec.uuid, spec.ns, twin, spec.has_collation(),
                                                             spec.is_capped(),
                                                             twin.ns != spec.ns && is_working_name(twin.ns)});
}

Operation operation_of(const ChangeEvent& event, const std::shared_ptr<const bson::Document>& bytes,
                       const std::shared_ptr<const CollectionRef>& collection) {
  Operation out;
  out.bytes = bytes;
  out.collection = collection;
  out.id = event.document_id;
  out.time = event.time;
  out.key_hash = bson::hash(event.document_id);
  out.size_bytes = event.size_bytes;
  switch (event.kind) {
    case EventKind::insert:
      out.kind = OperationKind::insert;
      out.body = event.full_document;
      break;
    case EventKind::replace:
      out.kind = OperationKind::replace;
      out.body = event.full_document;
      if (!begins_with_id(out.body)) take_stored_form(out);
      break;
    case EventKind::update:
      // Without the diff (portable mode) the document is read again: replaying
      // $set over a document that the copy read later can leave its fields in
      // another order than the source's.
      out.kind = event.raw_update.empty() ? OperationKind::reread : OperationKind::update;
      out.body = event.raw_update;
      break;
    case EventKind::erase:
      out.kind = OperationKind::erase;
      break;
    case EventKind::create:
    case EventKind::create_indexes:
    case EventKind::drop_indexes:
    case EventKind::modify:
    case EventKind::rename:
    case EventKind::drop:
    case EventKind::drop_database:
    case EventKind::ignored:
      CHECK(!"not a document's event");
  }
  return out;
}

Operation detached(const Operation& operation) {
  bson::Builder holder(operation.size_bytes + 64);
  holder.append("i", operation.id);
  const bool has_body = operation.kind != OperationKind::erase && operation.kind != OperationKind::reread;
  if (has_body) holder.append("b", operation.body);
  Operation out = operation;
  out.bytes = std::make_shared<const bson::Document>(holder.take());
  out.id = (*out.bytes)["i"];
  if (has_body) out.body = (*out.bytes)["b"].document();
  out.size_bytes = static_cast<std::uint32_t>(out.bytes->size_bytes()) + kOverheadBytes;
  return out;
}

Operation make_reread(std::shared_ptr<const CollectionRef> collection, const bson::Value& id, std::size_t key_hash,
                      ClusterTime time) {
  Operation out;
  out.collection = std::move(collection);
  out.kind = OperationKind::reread;
  out.id = id;
  out.key_hash = key_hash;
  out.time = time;
  return detached(out);
}

}  // namespace plm
