// Connections and BSON for plm_floor: the little that it needs of libmongoc.
// Errors are exceptions; the job's thread catches them.
#pragma once

#include <bson/bson.h>
#include <mongoc/mongoc.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

struct Options {
  std::string source, target;
  std::uint16_t port = 2242;
  int threads = 4;                   // that copy
  int appliers = 4;                  // that write changes
  std::vector<std::string> include;  // "db.coll" or "db.*"; none means all
};

// An owned document that stays where it is: libbson's own type may point into itself.
struct Document {
  Document() { bson_init(&bson); }
  explicit Document(const std::uint8_t* data, std::uint32_t size) {
    bson_t view;
    if (!bson_init_static(&view, data, size)) throw std::runtime_error("malformed document");
    bson_copy_to(&view, &bson);
  }
  ~Document() { bson_destroy(&bson); }
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;
  [[nodiscard]] bool empty() const { return bson.len <= 5; }
  bson_t bson;
};
using DocumentPtr = std::unique_ptr<Document>;

// A document or array inside another one.
struct View {
  const std::uint8_t* data = nullptr;
  std::uint32_t size = 0;
  explicit operator bool() const { return data != nullptr; }
  [[nodiscard]] bson_t bson() const {
    bson_t out;
    if (!bson_init_static(&out, data, size)) throw std::runtime_error("malformed document");
    return out;
  }
  [[nodiscard]] DocumentPtr copy() const { return std::make_unique<Document>(data, size); }
};

inline View view_at(const bson_iter_t& at) {
  View out;
  if (BSON_ITER_HOLDS_ARRAY(&at)) {
    bson_iter_array(&at, &out.size, &out.data);
  } else if (BSON_ITER_HOLDS_DOCUMENT(&at)) {
    bson_iter_document(&at, &out.size, &out.data);
  }
  return out;
}

// The value under a dotted path; throws when it is not there.
inline bson_iter_t find(const bson_t& in, const char* path) {
  bson_iter_t at, out;
  if (!bson_iter_init(&at, &in) || !bson_iter_find_descendant(&at, path, &out)) {
    throw std::runtime_error(std::string("no field ") + path);
  }
  return out;
}

inline std::string text(const bson_t& in, const char* path) {
  const auto at = find(in, path);
  return bson_iter_utf8(&at, nullptr);
}

inline std::int64_t number(const bson_t& in, const char* path) {
  const auto at = find(in, path);
  return bson_iter_as_int64(&at);
}

using Time = std::uint64_t;  // seconds << 32 | increment

inline Time timestamp(const bson_t& in, const char* path) {
  const auto at = find(in, path);
  std::uint32_t seconds = 0, increment = 0;
  bson_iter_timestamp(&at, &seconds, &increment);
  return Time{seconds} << 32 | increment;
}

// Calls use(document) for each document of an array.
template <typename Use>
void each(const View& array, Use use) {
  const auto bson = array.bson();
  bson_iter_t at;
  bson_iter_init(&at, &bson);
  while (bson_iter_next(&at)) use(view_at(at));
}

// One connection with one session, for one thread. Primary only.
class Client {
 public:
  explicit Client(const std::string& uri) {
    client_ = mongoc_client_new(uri.c_str());
    if (client_ == nullptr) throw std::runtime_error("bad URI");
    mongoc_client_set_error_api(client_, 2);
    bson_error_t error;
    auto* options = mongoc_session_opts_new();
    mongoc_session_opts_set_causal_consistency(options, false);
    session_ = mongoc_client_start_session(client_, options, &error);
    mongoc_session_opts_destroy(options);
    if (session_ == nullptr) {
      mongoc_client_destroy(client_);
      throw std::runtime_error(error.message);
    }
    mongoc_client_session_append(session_, &with_session_.bson, nullptr);
  }
  ~Client() {
    mongoc_client_session_destroy(session_);
    mongoc_client_destroy(client_);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Runs and frees the command. Throws whatever the server did not do.
  DocumentPtr run(const std::string& db, bson_t* command) {
    const Owner owner{command};
    auto reply = std::make_unique<Document>();
    bson_error_t error;
    if (!mongoc_client_command_with_opts(client_, db.c_str(), command, nullptr, &with_session_.bson, &reply->bson,
                                         &error)) {
      throw std::runtime_error(std::string(error.message));
    }
    if (bson_has_field(&reply->bson, "writeErrors") || bson_has_field(&reply->bson, "writeConcernError")) {
      char* shown = bson_as_relaxed_extended_json(&reply->bson, nullptr);
      const std::string message(shown, std::min<std::size_t>(std::strlen(shown), 500));
      bson_free(shown);
      throw std::runtime_error(message);
    }
    return reply;
  }

  // Runs a command that answers with a cursor; use(batch, last) for each reply's array.
  template <typename Use>
  void read(const std::string& db, bson_t* command, std::int64_t batch_size, Use use) {
    auto reply = run(db, command);
    for (const char* batch = "cursor.firstBatch";; batch = "cursor.nextBatch") {
      const auto id = number(reply->bson, "cursor.id");
      use(view_at(find(reply->bson, batch)), id == 0);
      if (id == 0) return;
      const auto ns = text(reply->bson, "cursor.ns");
      reply = run(db, BCON_NEW("getMore", BCON_INT64(id), "collection", BCON_UTF8(ns.c_str() + ns.find('.') + 1),
                               "batchSize", BCON_INT64(batch_size)));
    }
  }

 private:
  struct Owner {
    bson_t* command;
    ~Owner() { bson_destroy(command); }
  };
  mongoc_client_t* client_ = nullptr;
  mongoc_client_session_t* session_ = nullptr;
  Document with_session_;
};

inline bool selected(const Options& options, std::string_view db, std::string_view collection) {
  if (db == "admin" || db == "config" || db == "local") return false;
  return options.include.empty() ||
         std::any_of(options.include.begin(), options.include.end(), [&](std::string_view entry) {
           const auto dot = entry.find('.');
           return entry.substr(0, dot) == db && (entry.substr(dot + 1) == "*" || entry.substr(dot + 1) == collection);
         });
}

}  // namespace bench
