#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "bson/test_values.h"

namespace plm::bson {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes bytes_of(const Document& document) { return {document.view().bytes().begin(), document.view().bytes().end()}; }

// A document around these bytes of elements, with the right length and end.
Bytes around(const Bytes& elements) {
  Bytes out(4 + elements.size() + 1);
  std::ranges::copy(elements, out.begin() + 4);
  const auto length = static_cast<std::uint32_t>(out.size());
  std::memcpy(out.data(), &length, sizeof length);
  return out;
}

// Reads everything that a View of the bytes leads to; false when any of it lies outside.
bool stays_within(std::span<const std::uint8_t> bytes) {
  const View document(bytes.data());
  if (document.size() != bytes.size()) return false;
  const std::uint8_t* end = bytes.data() + bytes.size();
  for (const Element& element : document) {
    const auto payload = element.value.payload();
    if (payload.size() > static_cast<std::size_t>(end - payload.data())) return false;
    switch (element.value.type()) {
      case BSON_TYPE_DOCUMENT:
      case BSON_TYPE_ARRAY:
        if (!stays_within(payload)) return false;
        break;
      case BSON_TYPE_UTF8:
        if (element.value.string().size() != payload.size() - 5) return false;
        break;
      case BSON_TYPE_BINARY:
        if (element.value.binary().size() != payload.size() - 5) return false;
        break;
      default:
        break;
    }
  }
  return true;
}

TEST(Valid, AcceptsDocumentsOfAllTypes) {
  EXPECT_TRUE(valid(View().bytes()));
  RandomValues random(test_seed());
  for (int i = 0; i < 2000; ++i) {
    const Document document = random.document();
    EXPECT_TRUE(valid(document.view().bytes())) << document.view().json();
    EXPECT_TRUE(stays_within(document.view().bytes()));
  }
}

TEST(Valid, AcceptsTextThatIsNotUtf8) {
  Builder out;
  out.append("\xff", "\xff\xfe");
  EXPECT_TRUE(valid(out.view().bytes()));
}

TEST(Valid, RefusesEveryTruncation) {
  RandomValues random(test_seed());
  for (int i = 0; i < 200; ++i) {
    const Bytes whole = bytes_of(random.document());
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(valid(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))));
    }
    Bytes longer = whole;
    longer.push_back(0);
    EXPECT_FALSE(valid(longer));
  }
}

TEST(Valid, RefusesWhatIsTruncatedUnderARightLength) {
  RandomValues random(test_seed());
  int cuts = 0;
  for (int i = 0; i < 2000; ++i) {
    const Document document = random.document();
    Bytes elements = bytes_of(document);
    elements = Bytes(elements.begin() + 4, elements.end() - 1);
    // Ends at which an element ends, too, are those of shorter documents.
    std::vector<std::size_t> ends = {0};
    for (const Element& element : document.view()) {
      const auto payload = element.value.payload();
      ends.push_back(static_cast<std::size_t>(payload.data() + payload.size() - document.view().data()) - 4);
    }
    for (std::size_t size = 0; size < elements.size(); ++size) {
      const Bytes cut(elements.begin(), elements.begin() + static_cast<std::ptrdiff_t>(size));
      const bool whole = std::ranges::find(ends, size) != ends.end();
      EXPECT_EQ(valid(around(cut)), whole) << document.view().json() << " after " << size << " bytes";
      ++cuts;
    }
  }
  EXPECT_GT(cuts, 10'000);
}

TEST(Valid, LetsNoCorruptionLeadOutside) {
  RandomValues random(test_seed());
  int accepted = 0;
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    const Bytes whole = bytes_of(random.document());
    if (whole.size() < 6) continue;
    for (int change = 0; change < 10; ++change) {
      Bytes corrupt = whole;
      static constexpr std::uint8_t interesting[] = {0x00, 0x01, 0x02, 0x03, 0x05, 0x0b, 0x0c, 0x0f, 0x7f, 0x80, 0xff};
      for (std::size_t n = random.below(2) + 1; n > 0; --n) {
        corrupt[random.below(corrupt.size())] = interesting[random.below(std::size(interesting))];
      }
      if (valid(corrupt)) {
        ++accepted;
        EXPECT_TRUE(stays_within(corrupt));
      } else {
        ++refused;
      }
    }
  }
  EXPECT_GT(accepted, 1000);
  EXPECT_GT(refused, 1000);
}

TEST(Valid, RefusesEachMalformedElement) {
  struct Case {
    const char* what;
    Bytes elements;
  };
  const Case cases[] = {
      {"unknown type", {0x14, 'a', 0}},
      {"type zero inside", {0x00, 'a', 0}},
      {"key without end", {0x0a, 'a'}},
      {"int32 too short", {0x10, 'a', 0, 1, 2, 3}},
      {"int64 too short", {0x12, 'a', 0, 1, 2, 3, 4, 5, 6, 7}},
      {"decimal too short", {0x13, 'a', 0, 1, 2, 3, 4, 5, 6, 7, 8}},
      {"ObjectId too short", {0x07, 'a', 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
      {"bool of 2", {0x08, 'a', 0, 2}},
      {"bool missing", {0x08, 'a', 0}},
      {"string of length 0", {0x02, 'a', 0, 0, 0, 0, 0}},
      {"string of negative length", {0x02, 'a', 0, 0xff, 0xff, 0xff, 0xff, 0}},
      {"string beyond the end", {0x02, 'a', 0, 9, 0, 0, 0, 'x', 0}},
      {"string without end", {0x02, 'a', 0, 2, 0, 0, 0, 'x', 'y'}},
      {"string with half a length", {0x02, 'a', 0, 2, 0}},
      {"binary beyond the end", {0x05, 'a', 0, 9, 0, 0, 0, 0, 1}},
      {"binary of negative length", {0x05, 'a', 0, 0xff, 0xff, 0xff, 0xff, 0}},
      {"binary without subtype", {0x05, 'a', 0, 0, 0, 0, 0}},
      {"document of length 4", {0x03, 'a', 0, 4, 0, 0, 0}},
      {"document beyond the end", {0x03, 'a', 0, 9, 0, 0, 0, 0}},
      {"document without end", {0x03, 'a', 0, 6, 0, 0, 0, 0, 1}},
      {"array with a bad element", {0x04, 'a', 0, 8, 0, 0, 0, 0x14, '0', 0, 0}},
      {"regex with one part", {0x0b, 'a', 0, 'x', 0}},
      {"DBPointer without id", {0x0c, 'a', 0, 2, 0, 0, 0, 'x', 0, 1, 2}},
      {"code with scope, too short", {0x0f, 'a', 0, 4, 0, 0, 0}},
      {"code with scope, length below 4", {0x0f, 'a', 0, 3, 0, 0, 0}},
      {"code with scope, without scope", {0x0f, 'a', 0, 10, 0, 0, 0, 2, 0, 0, 0, 'x', 0}},
      {"code with scope, length of another", {0x0f, 'a', 0, 16, 0, 0, 0, 2, 0, 0, 0, 'x', 0, 5, 0, 0, 0, 0, 0x0a}},
  };
  for (const Case& one : cases) EXPECT_FALSE(valid(around(one.elements))) << one.what;
}

TEST(Valid, RefusesMoreThan512Levels) {
  const auto nested = [](int levels) {
    Document out;
    for (int i = 1; i < levels; ++i) {
      Builder outer;
      outer.append("", out.view());
      out = outer.take();
    }
    return out;
  };
  EXPECT_TRUE(valid(nested(512).view().bytes()));
  EXPECT_FALSE(valid(nested(513).view().bytes()));
}

}  // namespace
}  // namespace plm::bson
