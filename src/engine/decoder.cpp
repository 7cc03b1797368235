#include "engine/decoder.h"

#include <array>

namespace plm {

namespace {

struct KindName {
  std::string_view name;
  EventKind kind;
};

// Source: "Change Events" in the MongoDB manual. Kinds of sharded clusters
// (shardCollection, ...) and invalidate do not occur on a replica set's
// cluster-wide stream.
constexpr std::array<KindName, 11> kKinds = {{{"insert", EventKind::insert},
                                              {"update", EventKind::update},
                                              {"replace", EventKind::replace},
                                              {"delete", EventKind::erase},
                                              {"create", EventKind::create},
                                              {"createIndexes", EventKind::create_indexes},
                                              {"dropIndexes", EventKind::drop_indexes},
                                              {"modify", EventKind::modify},
                                              {"rename", EventKind::rename},
                                              {"drop", EventKind::drop},
                                              {"dropDatabase", EventKind::drop_database}}};

EventKind kind_named(std::string_view name) {
  for (const KindName& candidate : kKinds) {
    if (candidate.name == name) return candidate.kind;
  }
  return EventKind::ignored;
}

Error malformed(bson::View event, std::string_view what) {
  return {ErrorCode::server,
          0,
          {},
          "change event without " + std::string(what) + ": " + event["_id"].as_document().json(200)};
}

// A rename's new name may be replicable when the old one is not.
bool takes_part(const ChangeEvent& event) {
  if (replicable(event.database, event.collection)) return true;
  if (event.kind != EventKind::rename) return false;
  const bson::View to = event.description["to"].as_document();
  return replicable(to["db"].as_string(), to["coll"].as_string());
}

Result<ChangeEvent> decode_event(bson::View raw) {
  ChangeEvent out;
  out.size_bytes = raw.size();
  bool has_kind = false;
  bool has_token = false;
  for (const bson::Element& field : raw) {
    const std::string_view key = field.key;
    const bson::Value& value = field.value;
    if (key == "operationType") {
      out.kind = kind_named(value.as_string());
      has_kind = true;
    } else if (key == "_id" && value.type() == BSON_TYPE_DOCUMENT) {
      out.resume_token = value.as_document();  // empty: none, its time is the position
      has_token = true;
    } else if (key == "clusterTime" && value.type() == BSON_TYPE_TIMESTAMP) {
      out.time = ClusterTime::from_packed(value.timestamp());
    } else if (key == "collectionUUID") {
      out.uuid = Uuid(value);
    } else if (key == "ns") {
      out.database = value.as_document()["db"].as_string();
      out.collection = value.as_document()["coll"].as_string();
    } else if (key == "documentKey") {
      out.document_id = value.as_document()["_id"];
    } else if (key == "fullDocument") {
      out.full_document = value.as_document();
    } else if (key == "rawUpdateDescription") {
      out.raw_update = value.as_document();
    } else if (key == "updateDescription") {
      out.public_update = value.as_document();
    } else if (key == "operationDescription") {
      out.description = value.as_document();
    } else if (key == "txnNumber" || key == "lsid") {
      out.in_transaction = true;
    }
  }
  if (!has_kind) return fail(malformed(raw, "operationType"));
  if (out.time.is_zero()) return fail(malformed(raw, "clusterTime"));
  if (!has_token) return fail(malformed(raw, "_id"));
  if (out.kind == EventKind::rename && replicable(out.database, out.collection)) {
    // Taken for a rename to nowhere it would drop the collection.
    if (out.description["to"].as_document().empty()) return fail(malformed(raw, "operationDescription.to"));
    if (out.uuid.is_nil()) return fail(malformed(raw, "collectionUUID"));
  }
  if (!takes_part(out)) {
    out.kind = EventKind::ignored;
    return out;
  }
  if (is_document_event(out.kind)) {
    if (!out.document_id) return fail(malformed(raw, "documentKey"));
    if (out.uuid.is_nil()) return fail(malformed(raw, "collectionUUID"));
    const bool whole = out.kind == EventKind::insert || out.kind == EventKind::replace;
    if (whole && out.full_document.empty()) return fail(malformed(raw, "fullDocument"));
    if (out.kind == EventKind::update && out.raw_update.empty() && out.public_update.empty()) {
      return fail(malformed(raw, "rawUpdateDescription"));
    }
  }
  return out;
}

}  // namespace

Result<EventBatch> decode(const StreamReply& reply) {
  EventBatch out;
  out.bytes = reply.bytes;
  out.end = reply.end;
  out.source_time = reply.source_time;
  out.size_bytes = reply.events.size();
  for (const bson::Element& element : reply.events) {
    auto event = decode_event(element.value.as_document());
    if (!event) return fail(std::move(event.error()));
    out.events.push_back(*std::move(event));
  }
  return out;
}

}  // namespace plm
