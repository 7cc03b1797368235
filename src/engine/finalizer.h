// The last part of a job: everything up to F is applied and nothing is replayed
// any more (I9). Makes the target's indexes and options what the source's are,
// then compares both sides. One collection a step; every step can be repeated.
#pragma once

#include <string>
#include <vector>

#include "base/backoff.h"
#include "engine/catalog.h"
#include "engine/listing.h"
#include "engine/progress.h"
#include "engine/role.h"
#include "seams/source.h"
#include "seams/target.h"

namespace plm {

// An index of the source that the target does not have in the end.
struct FailedIndex {
  enum class Kind {
    failed,
    incomplete,  // the source itself was still building it
  };
  Kind kind = Kind::failed;
  Namespace ns;
  std::string name;
  bson::Document keys;
  std::string reason;
};

struct FinalReport {
  std::vector<FailedIndex> failed_indexes;
  std::vector<std::string> differences;  // of both sides, after everything; a line each
};

// The source's real options and indexes at F take the place of what the stream
// said; indexes that a difference shows are made by the Finalizer. The listing
// stands for the time that the stream has come to. What cannot be mended is added
// to the report.
void adopt_final_listing(const Listing& listing, Catalog& catalog, FinalReport& report);

class Finalizer final : public Role {
 public:
  // `report` is what is known already. `cancelled` ends a step that waits for a
  // long build; none: nothing does.
  Finalizer(Source& source, Target& target, Clock& clock, Progress& progress, Catalog& catalog, FinalReport report,
            std::uint64_t seed, Cancelled cancelled = {});

  Result<Step> step() override;
  [[nodiscard]] bool done() const { return next_ == steps_.size() && options_compared_; }
  [[nodiscard]] const FinalReport& report() const { return report_; }

 private:
  Status make_real(Collection& collection);
  Status make_index_real(const Collection& collection, const IndexSpec& wanted, const IndexSpec* present);
  Status convert(const Twin& twin, const IndexSpec& wanted);
  Status make_options_real(const Collection& collection);
  Status make_time_series_real(const Collection& collection);
  Status compare(const Collection& collection);
  Status compare_natural_order(const Namespace& ns);
  Status compare_options();
  void failed(const Collection& collection, IndexTask& task, const Error& error);

  Source& source_;
  Target& target_;
  Clock& clock_;
  Progress& progress_;
  Catalog& catalog_;
  FinalReport report_;
  Backoff backoff_;
  std::vector<Uuid> steps_;  // collections, by name
  std::size_t next_ = 0;
  bool options_compared_ = false;
  Cancelled cancelled_;
};

// Whether two specifications or options mean the same: the same fields with
// equal values (numbers across types), in any order.
[[nodiscard]] bool same_fields(bson::View left, bson::View right);

}  // namespace plm
