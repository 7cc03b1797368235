// Events that the server's change stream cannot deliver (H9): a resume token
// holds the document's key in hexadecimal, the event holds the key and often the
// document, and together they may be larger than a BSON document may be. The
// server then ends the stream, again and again, with code 10334.
//
// The detour around them: the oplog tells which documents they are about, and the
// stream is read with a filter that leaves those events out, up to a note written
// behind them. In their place come events of our own, "updated, how is not said",
// upon which the engine reads the document from the source.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "mongo/connection.h"
#include "seams/source.h"

namespace plm::mongo {

// Of an event: three times its key and the document or the change. The filter of
// a detour leaves out what is larger.
inline constexpr std::int32_t kLargestPlainEventBytes = 12'000'000;

// A change in the oplog that the stream may be unable to deliver.
struct OversizedChange {
  ClusterTime time;
  Namespace ns;
  Uuid uuid;
  bson::OwnedValue id;
};

// What is, or may be, left out by the filter of a detour.
struct OversizedChanges {
  std::vector<OversizedChange> changes;  // in the order of the oplog
  ClusterTime behind;                    // none is missing before this
};
// From `from` on, inclusive, up to a note that is written now, or up to where
// they become too many. Errors: object_too_large when the end of a transaction is
// not among the entries.
Result<OversizedChanges> find_oversized_changes(Pool& pool, ClusterTime from);

class DetouringStream final : public ChangeStream {
 public:
  static Result<std::unique_ptr<ChangeStream>> open(std::shared_ptr<Pool> pool, const Position& from,
                                                    const Source::StreamOptions& options);
  Result<StreamReply> next() override;

 private:
  struct Detour {
    OversizedChanges left_out;
    std::size_t told = 0;  // of them
  };
  DetouringStream(std::shared_ptr<Pool> pool, Position from, Source::StreamOptions options)
      : pool_(std::move(pool)), position_(std::move(from)), options_(options) {}
  Status open_stream();
  Result<StreamReply> begin_detour(const Error& error);
  StreamReply with_left_out(const StreamReply& reply);

  std::shared_ptr<Pool> pool_;
  Position position_;  // behind all that was given out
  Source::StreamOptions options_;
  std::unique_ptr<ChangeStream> stream_;
  std::optional<Detour> detour_;
  bool ended_ = false;
};

// A reply of a detour with what was left out, as raw events, in its place by
// time; what lies behind the detour is cut off. `told` counts the changes that
// earlier replies have told of. Pure.
[[nodiscard]] StreamReply merge_left_out(const StreamReply& reply, const OversizedChanges& left_out,
                                         const Position& before, std::size_t& told);

}  // namespace plm::mongo
