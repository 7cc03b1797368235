// The first half of finalize, while the engine still runs: fixes F, the time that
// the target will stand for, and brings the engine to rest at it.
//
// F and the listing of the source belong together: an index or a collection of
// another time would be dropped again, or be missing. So with each move of F the
// source is listed anew. F moves when the target holds a document that was read
// from the source behind F. From then on documents are read as of F, so that one
// move is mostly enough; where the source does not know that moment any more, it
// may happen again and again while the source is written, hence a bound.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "control/job_options.h"
#include "engine/engine.h"
#include "engine/listing.h"
#include "model/filter.h"
#include "seams/source.h"
#include "seams/state_store.h"

namespace plm {

// What the target did not take: parked documents, and indexes whose build failed.
// Finalize does not go on while there is any, unless that is waived.
[[nodiscard]] bool has_refused(const Engine& engine);
// Asks the engine to try it once more.
[[nodiscard]] Status retry_refused(Engine& engine, StateStore& store);
// The error (wrong_state) that names it.
[[nodiscard]] Error refused_error(const Engine& engine, StateStore& store);

class FinalApproach {
 public:
  struct Parts {  // all outlive this
    Source& source;
    StateStore& store;
    Clock& clock;
  };
  FinalApproach(Parts parts, Filter filter, FinalizeOptions options)
      : parts_(parts), filter_(std::move(filter)), options_(options) {}

  // True: the engine is at rest and saved, everything up to F is applied. Called
  // again and again until then, also after retryable errors. Other errors:
  // wrong_state when the target does not take something, unless that is waived.
  [[nodiscard]] Result<bool> step(Engine& engine);

  [[nodiscard]] ClusterTime end() const { return end_; }  // F; zero: not fixed yet
  // What the source holds at F.
  [[nodiscard]] const Listing& listing() const { return listing_; }
  // F did not come to cover all documents: the source is still written.
  [[nodiscard]] bool fell_short() const { return fell_short_; }
  // What is not replicated, as the listing shows: lines for people.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
  // The documents that the target does not hold, as waived.
  [[nodiscard]] const std::vector<ParkedDocument>& waived() const { return waived_; }

 private:
  Result<bool> move_end(Engine& engine);
  Result<bool> settle_refused(Engine& engine);
  [[nodiscard]] bool is_hindered(const Engine& engine) const;
  Status note_waived();
  [[nodiscard]] bool is_short(const Engine& engine, const RouterView& view) const;

  Parts parts_;
  Filter filter_;
  ClusterTime end_;
  Listing listing_;
  std::vector<std::string> warnings_;
  int moves_ = 0;
  bool fell_short_ = false;
  std::optional<SteadyTime> refused_until_;  // how long what is tried once more is waited for
  FinalizeOptions options_;
  bool waives_ = false;  // in the end the target did not take all
  std::vector<ParkedDocument> waived_;
};

}  // namespace plm
