#include "model/collection.h"

namespace plm {

IndexSpec IndexSpec::plain() const {
  bson::Builder out;
  for (const bson::Element& field : spec.view()) {
    if (field.key == "unique" || field.key == "hidden" || field.key == "prepareUnique") continue;
    if (field.key == "expireAfterSeconds") {
      out.append(field.key, kNeverExpires);
    } else {
      out.append(field.key, field.value);
    }
  }
  return {out.take()};
}

bson::Document time_series_options(bson::View of_buckets) {
  bson::Builder out;
  for (const bson::Element& option : of_buckets) {
    if (option.key != "validator" && option.key != "clusteredIndex") out.append(option.key, option.value);
  }
  return out.take();
}

bson::Document with_old_id_index(bson::View options) {
  bson::Builder out;
  out.append_all(options);
  {
    auto index = out.document("idIndex");
    index->append("v", 1);
    {
      auto key = index->document("key");
      key->append("_id", 1);
    }
    index->append("name", "_id_");
  }
  return out.take();
}

bool CollectionSpec::has_collation() const {
  const bson::Value locale = options["collation"].as_document().find("locale");
  return locale.exists() && locale.as_string() != "simple";
}

}  // namespace plm
