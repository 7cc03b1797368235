#include "memory/oplog.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>

#include "base/check.h"
#include "memory/faults.h"
#include "memory/update_description.h"

namespace plm {

namespace {

// So few that streams see seconds change, too.
constexpr std::uint32_t kEntriesPerSecond = 16;

void append_namespace(bson::Builder& out, std::string_view key, const Namespace& ns) {
  auto scope = out.document(key);
  scope->append("db", ns.database);
  if (!ns.collection.empty()) scope->append("coll", ns.collection);
}

}  // namespace

bson::Document OplogPlace::token() const {
  std::array<char, 27> text{};
  std::snprintf(text.data(), text.size(), "82%08X%08X%08X", time.seconds, time.increment, number);
  bson::Builder out(64);
  out.append("_data", std::string_view(text.data(), text.size() - 1));
  return out.take();
}

Result<OplogPlace> OplogPlace::parse(bson::View token) {
  const std::string_view text = token["_data"].as_string();
  std::array<std::uint32_t, 3> parts{};
  bool good = text.size() == 26 && text.starts_with("82");
  for (std::size_t i = 0; good && i < parts.size(); ++i) {
    const char* end = text.data() + 10 + 8 * i;
    good = std::from_chars(end - 8, end, parts[i], 16).ptr == end;
  }
  if (!good) return fail(server_error(server_code::failed_to_parse, "resume token string was not a valid hex string"));
  return OplogPlace{{parts[0], parts[1]}, parts[2]};
}

ClusterTime MemoryOplog::tick() {
  if (newest_.increment == kEntriesPerSecond) {
    newest_ = {newest_.seconds + 1, 1};
  } else {
    ++newest_.increment;
  }
  return newest_;
}

void MemoryOplog::begin_transaction() {
  CHECK(!in_transaction_);
  in_transaction_ = true;
  transaction_events_ = 0;
}

void MemoryOplog::end_transaction() {
  CHECK(in_transaction_);
  in_transaction_ = false;
  if (transaction_events_ > 0) ++transactions_;
}

OplogPlace MemoryOplog::next_place() {
  if (!in_transaction_) return {tick(), 1};
  if (transaction_events_ == 0) tick();
  return {newest_, ++transaction_events_};
}

void MemoryOplog::begin_event(bson::Builder& out, const OplogPlace& place, std::string_view type, const Uuid& uuid) {
  if (in_transaction_) {
    out.append("txnNumber", transactions_ + 1);
    auto lsid = out.document("lsid");
    static constexpr std::array<std::uint8_t, 16> session = {1,    2,  3,  4,  5,  6,  0x47, 8,
                                                             0x89, 10, 11, 12, 13, 14, 15,   16};
    Uuid(session).append_to(*lsid, "id");
  }
  out.append("_id", place.token());
  out.append("operationType", type);
  out.append_timestamp("clusterTime", place.time.packed());
  if (!uuid.is_nil()) uuid.append_to(out, "collectionUUID");
  out.append_date("wallTime", std::chrono::system_clock::time_point(std::chrono::seconds(place.time.seconds)));
}

void MemoryOplog::add_write(const DocumentEvent& event) {
  const OplogPlace place = next_place();
  if (!keeps_events_) return;
  bson::Builder out;
  begin_event(out, place, event.type, event.uuid);
  if (!event.full_document.empty()) out.append("fullDocument", event.full_document);
  append_namespace(out, "ns", event.ns);
  {
    auto key = out.document("documentKey");
    key->append("_id", event.id);
  }
  if (!event.diff.empty()) {
    auto description = out.document("rawUpdateDescription");
    description->append("$v", std::int32_t{2}).append("diff", event.diff);
  }
  events_.push_back({place, out.take()});
}

void MemoryOplog::add_ddl(const DdlEvent& event) {
  const OplogPlace place = next_place();
  if (!keeps_events_) return;
  bson::Builder out;
  if (event.to != nullptr) append_namespace(out, "to", *event.to);
  begin_event(out, place, event.type, event.uuid);
  append_namespace(out, "ns", event.ns);
  if (event.description) out.append("operationDescription", *event.description);
  events_.push_back({place, out.take()});
}

void MemoryOplog::truncate(ClusterTime oldest) {
  oldest_ = oldest;
  while (!events_.empty() && events_.front().place.time < oldest) events_.pop_front();
}

OplogPlace MemoryOplog::end() const {
  const bool last_is_event = !events_.empty() && events_.back().place.time == newest_;
  return last_is_event ? events_.back().place : OplogPlace{newest_, 0};
}

const OplogEvent* MemoryOplog::after(const OplogPlace& place) const {
  const auto found = std::ranges::upper_bound(events_, place, {}, &OplogEvent::place);
  return found == events_.end() ? nullptr : &*found;
}

bson::Document with_public_description(const bson::Document& event) {
  const bson::View raw = event["rawUpdateDescription"].as_document();
  if (raw.empty()) return event;
  bson::Builder out(event.size_bytes() + 64);
  for (const bson::Element& field : event.view()) {
    if (field.key != "rawUpdateDescription") out.append(field.key, field.value);
  }
  out.append("updateDescription", public_update_description(raw["diff"].as_document()));
  return out.take();
}

}  // namespace plm
