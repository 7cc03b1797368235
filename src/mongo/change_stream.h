// The source's change stream over all its databases.
#pragma once

#include <memory>

#include "mongo/commit_nudger.h"
#include "mongo/connection.h"
#include "seams/source.h"

namespace plm::mongo {

enum class StreamFilter {
  none,
  without_large_events,  // see oversized_events.h
};

class CursorChangeStream final : public ChangeStream {
 public:
  // After an error the stream is dead: open another one at the last position.
  static Result<std::unique_ptr<ChangeStream>> open(const std::shared_ptr<Pool>& pool, const Position& from,
                                                    const Source::StreamOptions& options,
                                                    StreamFilter filter = StreamFilter::none);
  ~CursorChangeStream() override;
  CursorChangeStream(const CursorChangeStream&) = delete;
  CursorChangeStream& operator=(const CursorChangeStream&) = delete;
  CursorChangeStream(CursorChangeStream&&) = delete;
  CursorChangeStream& operator=(CursorChangeStream&&) = delete;

  Result<StreamReply> next() override;

 private:
  CursorChangeStream(const std::shared_ptr<Pool>& pool, Connection connection, std::int64_t cursor_id);

  Connection connection_;
  std::int64_t cursor_id_ = 0;
  std::int64_t most_events_;  // that the next reply may hold, from the size of the last ones
  CommitNudger nudger_;
};

// The cluster time inside a resume token: its _data is hexadecimal, "82", then
// eight digits of seconds and eight of increment. Zero when it is not.
ClusterTime token_time(bson::View token);

}  // namespace plm::mongo
