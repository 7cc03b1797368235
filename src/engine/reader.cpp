#include "engine/reader.h"

#include "base/check.h"
#include "engine/decoder.h"
#include "engine/position_lost.h"

namespace plm {

Result<Step> Reader::step() {
  CHECK(queue_ != nullptr);
  if (!queue_->has_room() || !backoff_.ready(clock_.steady_now())) return Step::waiting;
  if (!stream_) {
    auto opened = source_.open_stream(position_, options_);
    if (!opened) return after(opened.error());
    stream_ = *std::move(opened);
  }
  auto reply = stream_->next();
  if (!reply) return after(reply.error());
  backoff_.succeeded();
  progress_.stream_broken = false;
  auto batch = decode(*reply);
  if (!batch) return fail(std::move(batch.error()));
  // A stream that was just opened at a time may name an end before that time.
  if (batch->end.time >= position_.time) position_ = batch->end;
  progress_.source_time.reach(batch->source_time);
  progress_.events_read += static_cast<std::int64_t>(batch->events.size());
  queue_->push(*std::move(batch));
  return Step::worked;
}

Result<Step> Reader::after(const Error& error) {
  stream_.reset();
  if (error.server_code == server_code::change_stream_history_lost) return fail(position_lost(position_.time));
  if (error.server_code == server_code::object_too_large) {
    return fail(error.within("behind " + position_.time.text() +
                             " lies a change that the source's change stream cannot deliver; copy again what differs "
                             "(plm resume --recopy changed)"));
  }
  if (!worth_waiting(error)) return fail(error.within("change stream"));
  backoff_.failed(clock_.steady_now());
  progress_.stream_broken = true;
  progress_.retrying("change stream: " + error.message);
  return Step::waiting;
}

}  // namespace plm
