// Strict owners of the C driver's handles: each is freed exactly once, by the
// function that the driver names for it.
#pragma once

#include <mongoc/mongoc.h>

#include <memory>

namespace plm::mongo {

template <auto destroy>
struct DestroyedBy {
  template <typename T>
  void operator()(T* handle) const {
    destroy(handle);
  }
};

using UriHandle = std::unique_ptr<mongoc_uri_t, DestroyedBy<mongoc_uri_destroy>>;
using PoolHandle = std::unique_ptr<mongoc_client_pool_t, DestroyedBy<mongoc_client_pool_destroy>>;
using SessionHandle = std::unique_ptr<mongoc_client_session_t, DestroyedBy<mongoc_client_session_destroy>>;
using SessionOptionsHandle = std::unique_ptr<mongoc_session_opt_t, DestroyedBy<mongoc_session_opts_destroy>>;
using TransactionOptionsHandle =
    std::unique_ptr<mongoc_transaction_opt_t, DestroyedBy<mongoc_transaction_opts_destroy>>;
using WriteConcernHandle = std::unique_ptr<mongoc_write_concern_t, DestroyedBy<mongoc_write_concern_destroy>>;
using ReadPreferenceHandle = std::unique_ptr<mongoc_read_prefs_t, DestroyedBy<mongoc_read_prefs_destroy>>;
using ServerDescriptionHandle =
    std::unique_ptr<mongoc_server_description_t, DestroyedBy<mongoc_server_description_destroy>>;
using BytesHandle = std::unique_ptr<std::uint8_t, DestroyedBy<bson_free>>;

// A bson_t of the driver's own, for its options and replies.
class OwnBson {
 public:
  OwnBson() { bson_init(&bson_); }
  ~OwnBson() { bson_destroy(&bson_); }
  OwnBson(const OwnBson&) = delete;
  OwnBson& operator=(const OwnBson&) = delete;
  OwnBson(OwnBson&&) = delete;
  OwnBson& operator=(OwnBson&&) = delete;

  bson_t* get() { return &bson_; }
  // Empty and uninitialised by us: for calls that initialise it themselves.
  bson_t* out() {
    bson_destroy(&bson_);
    return &bson_;
  }

 private:
  bson_t bson_;
};

}  // namespace plm::mongo
