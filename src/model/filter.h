// Which namespaces take part.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/namespace.h"

namespace plm {

// Entries are "db.coll" or "db.*", split at the first dot, case-sensitive.
// Exclude wins; an empty include list means all. Immutable once made. A
// database with '*' in its name, or a collection whose name ends with '*', can
// exist but cannot be named: whoever writes that expects a wildcard. A time-series
// collection goes by its own name; selects() takes that of its buckets, too.
class Filter {
 public:
  Filter() = default;  // everything replicable
  // Errors: invalid_argument, naming the first malformed entry.
  static Result<Filter> make(const std::vector<std::string>& include, const std::vector<std::string>& exclude);

  [[nodiscard]] bool selects(const Namespace& ns) const { return selects(ns.database, ns.collection); }
  [[nodiscard]] bool selects(std::string_view database, std::string_view collection) const;
  // Whether any namespace of this database could be selected.
  [[nodiscard]] bool may_select_in(std::string_view database) const;

  [[nodiscard]] const std::vector<std::string>& include() const { return include_; }
  [[nodiscard]] const std::vector<std::string>& exclude() const { return exclude_; }

 private:
  struct Names {
    std::set<std::string, std::less<>> databases;               // "db.*"
    std::set<std::pair<std::string, std::string>> collections;  // "db.coll"
    std::set<std::string, std::less<>> touched;                 // databases of both
    [[nodiscard]] bool holds(std::string_view database, std::string_view collection) const;
  };
  static Result<Names> parse(const std::vector<std::string>& entries, std::string_view list_name);

  std::vector<std::string> include_;
  std::vector<std::string> exclude_;
  Names included_;
  Names excluded_;
};

}  // namespace plm
