// plm_floor: the floor that bench.py measures plm against, the least that any
// client of two replica sets can do to copy one and to follow its changes.
//
// It has plm's command line and HTTP API as far as a benchmark needs them, and
// shares no code with plm, so that it stays an honest yardstick. It is no tool:
// the source must be quiet while it is copied, only ordinary collections exist,
// changes are those of documents, nothing is saved, and the first error ends it.
//
// floor_clone.h says how it copies, floor_follow.h how it applies.
// Errors are exceptions here; the job's thread catches them and is `failed`.
#include <malloc.h>
#include <microhttpd.h>

#include <climits>
#include <csignal>
#include <iostream>
#include <nlohmann/json.hpp>

#include "floor_clone.h"
#include "floor_follow.h"

namespace bench {
namespace {

using nlohmann::json;

class Job {
 public:
  explicit Job(Options options) : options_(std::move(options)) {}

  json status() {
    const std::scoped_lock lock(mutex_);
    const Time time = replicated_;
    return {{"ok", true},
            {"state", state_},
            {"error", error_},
            {"lastReplicatedOpTime", {{"ts", std::to_string(time >> 32) + "." + std::to_string(time & 0xffffffff)}}},
            {"initialSync", {{"cloneCompleted", cloned_}, {"completed", cloned_}}}};
  }

  json start(const json& body) {
    return change({"idle"}, [&] {
      options_.include = body.value("includeNamespaces", std::vector<std::string>());
      launch(true);
    });
  }
  json pause() {
    return change({"running"}, [&] { pausing_ = true; });
  }
  json resume() {
    return change({"paused"}, [&] { launch(false); });
  }
  json finalize() {
    return change({"running", "paused"}, [&] {
      finish_at_ = source_time();
      if (state_ == "paused") launch(false);
    });
  }

 private:
  template <typename Effect>
  json change(std::initializer_list<const char*> allowed, Effect effect) {
    const std::scoped_lock lock(mutex_);
    if (std::find(allowed.begin(), allowed.end(), state_) == allowed.end()) {
      return {{"ok", false}, {"error", "not allowed while " + state_}};
    }
    effect();
    return {{"ok", true}};
  }

  void launch(bool copy) {
    state_ = "running";
    pausing_ = false;
    thread_ = std::jthread([this, copy] { run(copy); });
  }

  void run(bool copy) {
    std::string state, error;
    try {
      if (copy) {
        const Time time = source_time() + 1;  // a stream shows what happened at its start time, too
        Clone(options_).run();
        BSON_APPEND_TIMESTAMP(&position_.bson, "startAtOperationTime", static_cast<std::uint32_t>(time >> 32),
                              static_cast<std::uint32_t>(time));
        const std::scoped_lock lock(mutex_);
        cloned_ = true;
      }
      const auto finished = [this] { return finish_at_ != 0 && replicated_ >= finish_at_; };
      Follow(options_, position_, replicated_).run([&] { return pausing_ || finished(); });
      state = finished() ? "finalized" : "paused";
    } catch (const std::exception& e) {
      state = "failed";
      error = e.what();
      std::cerr << "failed: " << error << std::endl;
    }
    const std::scoped_lock lock(mutex_);
    state_ = state;
    error_ = error;
  }

  Time source_time() const {
    const auto reply = Client(options_.source).run("admin", BCON_NEW("ping", BCON_INT32(1)));
    return timestamp(reply->bson, "operationTime");
  }

  Options options_;
  Document position_;  // startAtOperationTime or resumeAfter; the running thread's
  std::atomic<Time> replicated_ = 0, finish_at_ = 0;
  std::atomic<bool> pausing_ = false;
  std::mutex mutex_;  // guards what follows
  std::string state_ = "idle", error_;
  bool cloned_ = false;
  std::jthread thread_;
};

MHD_Result answer(void* job_of, MHD_Connection* connection, const char* url, const char* method, const char*,
                  const char* upload, std::size_t* size, void** context) {
  if (*context == nullptr) {
    *context = new std::string;
    return MHD_YES;
  }
  auto& body = *static_cast<std::string*>(*context);
  if (*size > 0) {
    body.append(upload, *size);
    *size = 0;
    return MHD_YES;
  }
  auto& job = *static_cast<Job*>(job_of);
  const auto call = std::string(method) + " " + url;
  json out = {{"ok", false}, {"error", "unknown call"}};
  try {
    if (call == "GET /status") out = job.status();
    if (call == "POST /start") out = job.start(body.empty() ? json::object() : json::parse(body));
    if (call == "POST /pause") out = job.pause();
    if (call == "POST /resume") out = job.resume();
    if (call == "POST /finalize") out = job.finalize();
  } catch (const std::exception& e) {
    out["error"] = e.what();
  }
  auto sent = out.dump();
  auto* response = MHD_create_response_from_buffer(sent.size(), sent.data(), MHD_RESPMEM_MUST_COPY);
  MHD_add_response_header(response, "Content-Type", "application/json");
  const auto result = MHD_queue_response(connection, out["ok"] ? 200 : 409, response);
  MHD_destroy_response(response);
  return result;
}

void forget_body(void*, MHD_Connection*, void** context, MHD_RequestTerminationCode) {
  delete static_cast<std::string*>(*context);
}

// --name value or --name=value; what only plm knows is ignored.
Options parse(const std::vector<std::string>& arguments) {
  Options out;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const auto equals = arguments[i].find('=');
    const auto name = arguments[i].substr(0, equals);
    const auto value = [&] {
      return equals != std::string::npos ? arguments[i].substr(equals + 1) : arguments.at(++i);
    };
    if (name == "--source") out.source = value();
    if (name == "--target") out.target = value();
    if (name == "--port") out.port = static_cast<std::uint16_t>(std::stoul(value()));
    if (name == "--threads") out.threads = std::stoi(value());
    if (name == "--appliers") out.appliers = std::stoi(value());
  }
  if (out.source.empty() || out.target.empty()) throw std::runtime_error("--source URI and --target URI are needed");
  return out;
}

int serve(const Options& options) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  Job job(options);
  auto* daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, options.port, nullptr, nullptr, answer, &job,
                                  MHD_OPTION_NOTIFY_COMPLETED, forget_body, nullptr, MHD_OPTION_END);
  if (daemon == nullptr) throw std::runtime_error("cannot listen on port " + std::to_string(options.port));
  int signal = 0;
  sigwait(&ends, &signal);
  std::_Exit(0);  // a floor has nothing to save
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  // Replies are megabytes: keep their memory instead of asking the kernel for new pages each time.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mongoc_init();
  try {
    return bench::serve(bench::parse({argv + 1, argv + argc}));
  } catch (const std::exception& e) {
    std::cerr << "plm_floor: " << e.what() << "\n";
    return 2;
  }
}
