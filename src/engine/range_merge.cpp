#include "engine/range_merge.h"

#include <utility>

#include "base/check.h"
#include "bson/order.h"

namespace plm {

void RangeMerge::Side::take(DocumentBatch batch) {
  CHECK(needs_batch());
  batch_ = std::move(batch);
  exhausted_ = batch_.exhausted;
  left_ = batch_.count;
  if (left_ > 0) at_ = batch_.documents.begin();
}

void RangeMerge::Side::advance() {
  if (--left_ > 0) ++at_;
}

std::weak_ordering RangeMerge::order() const {
  if (source_.ended()) return std::weak_ordering::greater;
  if (target_.ended()) return std::weak_ordering::less;
  return bson::compare(source_.document()["_id"], target_.document()["_id"]);
}

RangeMerge::Differences RangeMerge::next() {
  Differences out;
  bson::Value last;
  while (!source_needs_batch() && !target_needs_batch() && !done()) {
    const std::weak_ordering order = this->order();
    if (order > 0) {
      last = target_.document()["_id"];
      out.surplus.push_back(last);
      target_.advance();
      continue;
    }
    const bson::View document = source_.document();
    last = document["_id"];
    if (order < 0) out.missing.push_back(document);
    if (order == 0) {
      if (document != target_.document()) out.different.push_back(document);
      target_.advance();
    }
    ++out.compared.documents;
    out.compared.size_bytes += document.size();
    source_.advance();
  }
  if (last.exists()) out.last_id = bson::OwnedValue(last);
  return out;
}

}  // namespace plm
