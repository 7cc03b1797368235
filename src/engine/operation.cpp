#include "engine/operation.h"

namespace plm {

namespace {

// Bytes of an operation apart from its document: for budgets.
constexpr std::uint32_t kOverheadBytes = sizeof(Operation) + 64;

}  // namespace

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
