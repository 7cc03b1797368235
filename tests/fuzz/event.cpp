// Decoding of change events. One line of the input is one event.
#include "engine/decoder.h"

#include "fuzz.h"
#include "model/namespace.h"

using namespace plm;

namespace {

// What the rest of the engine relies on.
void check_event(const ChangeEvent& event) {
  CHECK(!event.time.is_zero());
  if (!is_document_event(event.kind)) return;
  CHECK(replicable(event.database, event.collection));
  CHECK(event.document_id.exists() && !event.uuid.is_nil());
  const bool whole = event.kind == EventKind::insert || event.kind == EventKind::replace;
  CHECK(!whole || !event.full_document.empty());
  CHECK(event.kind != EventKind::update || !event.raw_update.empty() || !event.public_update.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text = fuzz::text_of(data, size);
  bson::Builder holder;
  std::size_t count = 0;
  {
    auto events = holder.array("events");
    while (!text.empty()) {
      const auto document = fuzz::document_of(fuzz::take_until(text, '\n'));
      if (!document) continue;
      events.append(*document);
      ++count;
    }
  }
  StreamReply reply;
  reply.bytes = std::make_shared<const bson::Document>(holder.take());
  reply.events = (*reply.bytes)["events"].document();
  const auto batch = decode(reply);
  if (!batch) {
    CHECK(!batch.error().message.empty());
    return 0;
  }
  CHECK(batch->events.size() == count);
  for (const ChangeEvent& event : batch->events) check_event(event);
  return 0;
}
