// Sorts values as plm does, for a comparison with a server. Reads documents
// {_id: int32, v: value} from standard input, one behind the other, and writes
// {_id, rank} in the order of (v, _id) to standard output. Equal values have
// the same rank; should their hashes differ, it ends with exit code 1.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "bson/document.h"
#include "bson/order.h"

namespace plm::bson {
namespace {

bool read_documents(std::span<const std::uint8_t> input, std::vector<View>& out) {
  while (!input.empty()) {
    std::uint32_t size = 0;
    if (input.size() < sizeof size) return false;
    std::memcpy(&size, input.data(), sizeof size);
    if (size > input.size() || !valid(input.first(size))) return false;
    out.emplace_back(input.data());
    input = input.subspan(size);
  }
  return true;
}

void write_document(View document) { std::fwrite(document.data(), 1, document.size(), stdout); }

int run() {
  const std::string input(std::istreambuf_iterator<char>(std::cin), {});
  std::vector<View> documents;
  if (!read_documents({reinterpret_cast<const std::uint8_t*>(input.data()), input.size()}, documents)) {
    std::fputs("the input is not a row of well-formed documents\n", stderr);
    return 1;
  }
  std::ranges::sort(documents, [](View left, View right) {
    const auto order = compare(left["v"], right["v"]);
    return order != 0 ? order < 0 : compare(left["_id"], right["_id"]) < 0;
  });
  std::int32_t rank = 0;
  for (std::size_t i = 0; i < documents.size(); ++i) {
    const View one = documents[i];
    if (i > 0 && compare(documents[i - 1]["v"], one["v"]) != 0) {
      ++rank;
    } else if (i > 0 && hash(documents[i - 1]["v"]) != hash(one["v"])) {
      std::fprintf(stderr, "equal values with different hashes: %s and %s\n", documents[i - 1].json().c_str(),
                   one.json().c_str());
      return 1;
    }
    Builder out;
    out.append("_id", one["_id"]).append("rank", rank);
    write_document(out.view());
  }
  return 0;
}

}  // namespace
}  // namespace plm::bson

int main() { return plm::bson::run(); }
