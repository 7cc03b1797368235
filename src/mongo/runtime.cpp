#include "mongo/runtime.h"

#include <malloc.h>
#include <mongoc/mongoc.h>

#include <climits>

#include "base/log.h"

namespace plm {

void tune_allocator() {
  // Buffers of the usual batches are used again, which spares page faults; those of
  // the largest documents are given back, or each arena would come to hold several.
  // NOLINTNEXTLINE(concurrency-mt-unsafe): called before any thread is made
  mallopt(M_MMAP_THRESHOLD, 8 << 20);
  // NOLINTNEXTLINE(concurrency-mt-unsafe): called before any thread is made
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
}

namespace mongo {
namespace {

void forward_log(mongoc_log_level_t level, const char* domain, const char* message, void* /*user_data*/) {
  if (level > MONGOC_LOG_LEVEL_WARNING) return;
  log::debug("driver", {{"domain", domain}, {"message", message}});
}

struct Driver {
  Driver() {
    mongoc_log_set_handler(forward_log, nullptr);  // first: it may have something to say at once
    mongoc_init();
  }
  ~Driver() { mongoc_cleanup(); }
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;
  Driver(Driver&&) = delete;
  Driver& operator=(Driver&&) = delete;
};

}  // namespace

void ensure_runtime() { static const Driver driver; }

}  // namespace mongo
}  // namespace plm
