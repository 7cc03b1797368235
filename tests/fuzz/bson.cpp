// Validation of BSON, the order of values, and which range a key belongs to.
#include <compare>
#include <string>

#include "bson/order.h"
#include "fuzz.h"
#include "model/range.h"

namespace {

using namespace plm;

// Far enough for every pair and triple to be compared.
constexpr std::size_t kMostValues = 12;

void collect(bson::View view, std::vector<bson::Value>& out) {
  for (const bson::Element& element : view) {
    if (out.size() >= kMostValues) return;
    out.push_back(element.value);
    if (element.value.is_document() || element.value.is_array()) collect(element.value.document(), out);
  }
}

// A total order, and hashes that agree with it.
void check_order(const std::vector<bson::Value>& values) {
  for (const bson::Value& a : values) {
    CHECK(bson::compare(a, a) == 0);
    for (const bson::Value& b : values) {
      const auto ab = bson::compare(a, b);
      CHECK(ab == (0 <=> bson::compare(b, a)));
      if (ab == 0) CHECK(bson::hash(a) == bson::hash(b));
      for (const bson::Value& c : values) {
        if (ab <= 0 && bson::compare(b, c) <= 0) CHECK(bson::compare(a, c) <= 0);
      }
    }
  }
}

// Ranges that meet at a bound: every key lies in exactly one of them.
void check_ranges(const std::vector<bson::Value>& values) {
  if (values.size() < 2) return;
  const auto [low, high] =
      bson::compare(values[0], values[1]) <= 0 ? std::pair(values[0], values[1]) : std::pair(values[1], values[0]);
  const KeyBounds below{{}, bson::OwnedValue(low)};
  const KeyBounds between{bson::OwnedValue(low), bson::OwnedValue(high)};
  const KeyBounds above{bson::OwnedValue(high), {}};
  for (const bson::Value& key : values) {
    const bool empty = bson::compare(low, high) == 0;
    CHECK(static_cast<int>(below.holds(key)) + static_cast<int>(between.holds(key)) +
              static_cast<int>(above.holds(key)) ==
          1);
    if (empty) CHECK(!between.holds(key));
  }
}

// Written again, it is the same.
void check_copy(bson::View view) {
  bson::Builder copy;
  for (const bson::Element& element : view) copy.append(element.key, element.value);
  CHECK(copy.view().size() == view.size());
  for (const bson::Element& element : view) {
    CHECK(view.find(element.key).exists());
    (void)element.value.as_int64();
    (void)element.value.as_bool();
    (void)element.value.as_string();
    (void)bson::to_json(element.value, 40);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto document = fuzz::document_of(fuzz::text_of(data, size));
  if (!document) return 0;
  (void)document->view().json(200);
  check_copy(document->view());
  std::vector<bson::Value> values;
  collect(document->view(), values);
  check_order(values);
  check_ranges(values);
  return 0;
}
