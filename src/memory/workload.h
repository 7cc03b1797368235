// A stream of random operations on a MemoryDeployment: what applications and
// administrators do to a source while it is replicated. One thread.
#pragma once

#include "memory/deployment.h"
#include "memory/random.h"

namespace plm {

class Workload {
 public:
  // Parts of all operations; what remains are single writes of documents.
  struct Mix {
    double transactions = 0.05;
    double structure = 0.05;  // create, drop, rename, views, indexes, collMod
    double capped = 0.0;      // of the structure: capped collections, convertToCapped
    double databases = 0.0;   // of the structure: dropDatabase, renames to another database
    double series = 0.0;      // of the structure: time-series collections, and writes of their buckets
    double compound = 0.0;    // of the indexes: over two fields; they refuse documents with two arrays
    double notes = 0.05;      // no-ops
  };
  struct Options {
    int databases = 2;
    int collections = 3;  // names in each
    int views = 1;        // names in each
    int ids = 24;         // about so many different _ids in each collection
    Mix mix = {};
  };
  // Both outlive the workload.
  Workload(MemoryDeployment& deployment, Random& random, const Options& options)
      : deployment_(deployment), random_(random), options_(options) {}

  // Does one operation. One that the server refuses is one, too.
  void step();
  // Makes some collections with documents and indexes.
  void fill();

 private:
  [[nodiscard]] Namespace any_collection_name();
  [[nodiscard]] Namespace any_view_name();
  // A collection that exists; null when there is none.
  MemoryCollection* any_collection();
  void write() { write(any_collection_name()); }
  void write(const Namespace& ns);
  void transaction();
  void change_structure();
  void change_capped();
  void change_database();
  void change_series();
  void change_indexes(const Namespace& ns);
  void modify(const MemoryCollection& collection);
  void change_view();

  MemoryDeployment& deployment_;
  Random& random_;
  Options options_;
};

}  // namespace plm
