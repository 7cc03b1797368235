#include "app/wiring.h"

#include "app/process_identity.h"
#include "control/controller.h"
#include "mongo/mongo_source.h"
#include "mongo/mongo_state_store.h"
#include "mongo/mongo_target.h"
#include "mongo/uri.h"

namespace plm {

namespace {

class MongoEngine final : public RunningEngine {
 public:
  MongoEngine(std::unique_ptr<MongoSource> source, std::unique_ptr<MongoTarget> target,
              std::unique_ptr<MongoStateStore> store, Controller::Settings settings)
      : source_(std::move(source)),
        target_(std::move(target)),
        store_(std::move(store)),
        controller_({*source_, *target_, *store_, clock_}, std::move(settings)) {}

  [[nodiscard]] JobControl& job() override { return controller_; }
  bool shutdown(Millis at_most) override { return controller_.shutdown(at_most); }

 private:
  SystemClock clock_;
  std::unique_ptr<MongoSource> source_;
  std::unique_ptr<MongoTarget> target_;
  std::unique_ptr<MongoStateStore> store_;
  Controller controller_;  // the last member: it uses the others
};

Controller::Settings settings_of(const DaemonConfig& config) {
  Controller::Settings out;
  out.source_uri = redacted(config.source_uri);
  out.target_uri = redacted(config.target_uri);
  out.memory_bytes = static_cast<std::size_t>(config.memory_limit_bytes);
  out.reset_state = config.reset_state;
  if (config.start) out.start = config.job;
  const LeaseOwner self = this_process();
  out.self = {self, [self](const LeaseOwner& other) { return is_gone(other, self); }};
  return out;
}

}  // namespace

Result<std::unique_ptr<RunningEngine>> make_engine(const DaemonConfig& config) {
  auto source = MongoSource::connect(config.source_uri);
  if (!source) return fail(source.error());
  auto target = MongoTarget::connect(config.target_uri);
  if (!target) return fail(target.error());
  if (config.apply_mode) (*target)->force_mode(*config.apply_mode);
  auto store = MongoStateStore::connect(config.target_uri);
  if (!store) return fail(store.error());
  return std::make_unique<MongoEngine>(*std::move(source), *std::move(target), *std::move(store), settings_of(config));
}

}  // namespace plm
