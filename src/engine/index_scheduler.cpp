#include "engine/index_scheduler.h"

#include "base/check.h"
#include "base/log.h"

namespace plm {

void IndexScheduler::retry_failed(Collection& collection) {
  if (collection.count_indexes(IndexState::failed) == 0) return;
  for (IndexTask& task : collection.indexes) {
    if (task.state == IndexState::failed) task.state = IndexState::waiting;
  }
  catalog_.touch(collection);
  add(collection);
}

void IndexScheduler::hand_out() {
  while (outstanding_ < workers_ && !ready_.empty()) {
    Collection* collection = catalog_.find(ready_.front());
    ready_.pop_front();
    if (collection == nullptr || collection->building || !collection->data_copied() || !collection->has_its_name() ||
        collection->twin_state != TwinState::ready) {
      continue;
    }
    IndexJob job{collection->uuid(), collection->ref->twin, {}, std::make_shared<std::atomic<bool>>(false)};
    for (IndexTask& task : collection->indexes) {
      if (task.state != IndexState::waiting) continue;
      task.state = IndexState::building;
      job.indexes.push_back(task.spec.plain());
    }
    if (job.indexes.empty()) continue;
    collection->building = true;
    stops_[collection->uuid()] = job.stop;
    ++outstanding_;
    jobs_.put(std::move(job));
  }
}

void IndexScheduler::ended(Collection& collection, const IndexesBuilt& message) {
  CHECK(outstanding_ > 0 && collection.building);
  --outstanding_;
  collection.building = false;
  stops_.erase(collection.uuid());
  made(collection, message.results);
  // Some gave way, or were added while these were being built.
  if (collection.count_indexes(IndexState::waiting) > 0) add(collection);
}

void IndexScheduler::made(Collection& collection, const std::vector<IndexResult>& results) {
  std::size_t built = 0;
  for (const IndexResult& result : results) {
    IndexTask* task = collection.find_index(result.name);
    if (task == nullptr) continue;
    if (result.status) {
      task->state = IndexState::built;
      task->reason.clear();
      ++built;
      continue;
    }
    const Error& error = result.status.error();
    if (error.code == ErrorCode::cancelled) {
      task->state = IndexState::waiting;
    } else if (error.server_code == server_code::index_options_conflict ||
               error.server_code == server_code::index_key_specs_conflict) {
      task->state = IndexState::deferred;
    } else {
      task->state = IndexState::failed;
      task->reason = error.message;
      log::warn("an index could not be built yet; finalize tries it again",
                {{"namespace", collection.spec.ns.text()}, {"index", result.name}, {"reason", error.message}});
    }
  }
  if (built > 0) log::info("indexes built", {{"namespace", collection.spec.ns.text()}, {"indexes", built}});
  if (!results.empty()) catalog_.touch(collection);
}

void IndexScheduler::stop(const Uuid& collection) {
  if (const auto found = stops_.find(collection); found != stops_.end()) found->second->store(true);
}

}  // namespace plm
