// What a range of the target lacks of what the source holds: both are read in the
// order of _id and compared document by document, byte by byte. For collections
// whose twin is kept when a job is copied again (recopy.h); whose _ids are equal
// when plm says so, which a collation would change. Pure: who reads the batches
// and writes the differences is the Copier.
//
// Why this is right with the stream: it is the copy of a range like any other
// (router.h), one that happens to write little.
//   1. The Router started the range at its position p. The source is read not
//      before p; events up to p were dropped, whatever the target made of them.
//   2. Nothing else decides about the range on the target meanwhile: its events
//      are kept. So when all differences are written, the target holds what a
//      copy into an empty range would have made of the same reads.
//   3. A document that both sides hold with the same bytes is one that such a
//      copy would have written as it is.
//   4. What was sent before with an unknown outcome is shut out before the target
//      is read (Target::read_range), so no document changes behind the comparison.
//   5. The kept events follow, as always. A range that was interrupted, also by a
//      crash, is compared anew, from where the copy stopped or as a whole.
#pragma once

#include <compare>
#include <vector>

#include "seams/source.h"

namespace plm {

class RangeMerge {
 public:
  // Views point into the batches that were added last.
  struct Differences {
    std::vector<bson::View> missing;    // documents of the source that the target lacks
    std::vector<bson::View> different;  // documents of the source that have other bytes on the target
    std::vector<bson::Value> surplus;   // _ids that the target alone has
    CollectionStats compared;           // of the source's documents
    bson::OwnedValue last_id;           // everything up to it is compared; none: nothing was
  };

  // The side has no document at hand and has not come to its end: it is to get its
  // next batch, which may be empty.
  [[nodiscard]] bool source_needs_batch() const { return source_.needs_batch(); }
  [[nodiscard]] bool target_needs_batch() const { return target_.needs_batch(); }
  void add_source(DocumentBatch batch) { source_.take(std::move(batch)); }
  void add_target(DocumentBatch batch) { target_.take(std::move(batch)); }

  // Goes on until a side needs a batch or both have ended.
  [[nodiscard]] Differences next();
  [[nodiscard]] bool done() const { return source_.ended() && target_.ended(); }

 private:
  class Side {
   public:
    void take(DocumentBatch batch);
    [[nodiscard]] bool needs_batch() const { return left_ == 0 && !exhausted_; }
    [[nodiscard]] bool ended() const { return left_ == 0 && exhausted_; }
    // Both only when there is a document at hand.
    [[nodiscard]] bson::View document() const { return at_->value.as_document(); }
    void advance();

   private:
    DocumentBatch batch_;
    bson::View::Iterator at_;
    std::int64_t left_ = 0;
    bool exhausted_ = false;
  };
  // Of the source's document to the target's; a side that has ended comes last.
  [[nodiscard]] std::weak_ordering order() const;

  Side source_;
  Side target_;
};

}  // namespace plm
