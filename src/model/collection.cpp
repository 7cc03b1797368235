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

bool CollectionSpec::has_collation() const {
  const bson::Value locale = options["collation"].as_document().find("locale");
  return locale.exists() && locale.as_string() != "simple";
}

}  // namespace plm
