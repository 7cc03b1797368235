// Reads one range of one collection, of the source or the target, through one cursor.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "mongo/connection.h"
#include "seams/source.h"

namespace plm::mongo {

// The batches are the server's replies themselves, aimed at 3 MB: the first
// one is small, the others follow from the mean size of the documents seen.
class CursorRangeReader final : public RangeReader {
 public:
  // Opens the cursor. Errors: not_found when the UUID does not exist; in natural
  // order a retryable one while the collection may still be filled without events.
  static Result<std::unique_ptr<RangeReader>> open(Pool& pool, const SourceRead& read, const KeyBounds& bounds,
                                                   const Source::RangeOptions& options);
  // Ends the cursor on the server.
  ~CursorRangeReader() override;
  CursorRangeReader(const CursorRangeReader&) = delete;
  CursorRangeReader& operator=(const CursorRangeReader&) = delete;
  CursorRangeReader(CursorRangeReader&&) = delete;
  CursorRangeReader& operator=(CursorRangeReader&&) = delete;

  Result<DocumentBatch> next() override;

 private:
  CursorRangeReader(Connection connection, Reply first, const Source::RangeOptions& options,
                    bson::Document last_command, std::string database);
  Result<DocumentBatch> read_last();
  DocumentBatch batch_from(Reply reply, const char* field);
  [[nodiscard]] std::int32_t next_batch_documents() const;

  Connection connection_;
  Reply first_;
  bool first_taken_ = false;
  Source::RangeOptions options_;
  bson::Document last_command_;  // to run behind the cursor's end; empty: none
  std::string database_;
  std::int64_t cursor_id_ = 0;
  Namespace cursor_ns_;
  std::int64_t documents_ = 0;
  std::int64_t size_bytes_ = 0;
};

}  // namespace plm::mongo
