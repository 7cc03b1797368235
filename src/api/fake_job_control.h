// A JobControl for tests of the API: answers what it is told to and remembers
// what it was asked.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "control/job_control.h"

namespace plm {

class FakeJobControl final : public JobControl {
 public:
  // Called for every command with its name, without a lock held.
  std::function<Status(const std::string& command)> on_command = [](const std::string&) { return Status{}; };

  Status start(const JobOptions& options) override {
    {
      const std::lock_guard lock(mutex_);
      started_with_ = options;
    }
    return note("start");
  }
  Status pause() override { return note("pause"); }
  Status resume(const ResumeOptions& options) override {
    if (options.recopy != Recopy::none) return note("resume, copying again: " + std::string(name_of(options.recopy)));
    return note(options.from_failure ? "resume from failure" : "resume");
  }
  Status finalize(const FinalizeOptions& options) override {
    return note(options.waive_parked ? "finalize, waiving what is parked" : "finalize");
  }
  Status reset() override { return note("reset"); }
  [[nodiscard]] StatusReport status() const override {
    const std::lock_guard lock(mutex_);
    return report_;
  }

  void set_report(StatusReport report) {
    const std::lock_guard lock(mutex_);
    report_ = std::move(report);
  }
  [[nodiscard]] std::vector<std::string> commands() const {
    const std::lock_guard lock(mutex_);
    return commands_;
  }
  [[nodiscard]] JobOptions started_with() const {
    const std::lock_guard lock(mutex_);
    return started_with_;
  }

 private:
  Status note(const std::string& command) {
    {
      const std::lock_guard lock(mutex_);
      commands_.push_back(command);
    }
    return on_command(command);
  }

  mutable std::mutex mutex_;
  StatusReport report_;
  JobOptions started_with_;
  std::vector<std::string> commands_;
};

}  // namespace plm
