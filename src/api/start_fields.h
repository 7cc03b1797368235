// The tuning options of a start, in one table: the request body, the flags, the
// environment and the configuration file all read it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "base/error.h"
#include "control/job_options.h"

namespace plm {

struct TuningField {
  std::string_view json_name;  // "cloneNumParallelCollections"
  std::string_view flag_name;  // "clone-num-parallel-collections"
  std::string_view help;
  std::variant<int Tuning::*, std::int64_t Tuning::*> member;  // the second kind is a size in bytes
  std::int64_t max = 0;

  [[nodiscard]] bool is_size() const { return member.index() == 1; }
};

[[nodiscard]] std::span<const TuningField> tuning_fields();

// Sets one field. 0 means "plm chooses". Errors: invalid_argument, when the
// value is below 0 or above the field's maximum; without the field's name.
[[nodiscard]] Status set_tuning(Tuning& tuning, const TuningField& field, std::int64_t value);

}  // namespace plm
