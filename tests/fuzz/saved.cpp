// Saved state. Each line is "SET {document}" as the store holds it: whatever it is, loading gives a job or an error,
// and what was loaded is saved in the same form again.
#include <map>
#include <string>

#include "control/job_record.h"
#include "engine/saved_job.h"
#include "fuzz.h"

using namespace plm;

namespace {

class FixedStore final : public StateStore {
 public:
  explicit FixedStore(std::map<std::string, std::vector<bson::Document>, std::less<>> sets) : sets_(std::move(sets)) {}
  Result<std::vector<bson::Document>> load(const std::string& set) override { return sets_[set]; }
  Status save(std::span<const StoreChange> /*changes*/) override { return {}; }
  Status clear() override { return {}; }
  Result<LeaseSight> look_at_lease() override { return LeaseSight(); }
  Result<Epoch> take_lease(const LeaseOwner& /*owner*/, Epoch seen) override { return seen + 1; }
  Status renew_lease() override { return {}; }
  Status release_lease() override { return {}; }

 private:
  std::map<std::string, std::vector<bson::Document>, std::less<>> sets_;
};

// Saved, loaded and saved again: the same bytes.
template <typename T, typename Load>
void check_round(const Result<T>& first, Load&& load) {
  if (!first) {
    CHECK(first.error().code == ErrorCode::stored_format);
    return;
  }
  const bson::Document saved = to_document(*first);
  const auto again = load(saved.view());
  CHECK(again);
  CHECK(to_document(*again) == saved);
}

void check_alone(bson::View document) {
  check_round(view_from(document), view_from);
  check_round(position_from(document), position_from);
  check_round(parked_from(document), parked_from);
  check_round(job_record_from(document), job_record_from);
  if (const auto range = range_from(document)) {
    CHECK(range_from(to_document(range->collection, range->index, range->range).view()));
  }
  if (const auto collection = collection_from(document)) {
    CHECK(collection_from(to_document(*collection).view()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text = fuzz::text_of(data, size);
  std::map<std::string, std::vector<bson::Document>, std::less<>> sets;
  while (!text.empty()) {
    std::string_view line = fuzz::take_until(text, '\n');
    const std::string_view set = fuzz::take_until(line, ' ');
    auto document = fuzz::document_of(line);
    if (!document) continue;
    check_alone(document->view());
    sets[std::string(set)].push_back(*std::move(document));
  }
  FixedStore store(std::move(sets));
  if (const auto job = load_job(store); job && *job) {
    for (const auto& [uuid, collection] : (*job)->catalog.collections()) {
      CHECK(collection.ranges_unfinished <= collection.ranges.size());
    }
  }
  (void)load_record(store);
  return 0;
}
