// SPDX-License-Identifier: MIT
#include "apps/isa_option.h"

#include <string>

#include "base/cpu.h"
#include "classifier/lookup.h"

namespace portcullis::apps {

void add_isa_option(CLI::App& program) {
  program
      .add_option_function<std::string>(
          "--isa",
          [](const std::string& name) {
            const auto forced = parse_isa(name).and_then(classifier::force_isa);
            if (!forced) {
              throw CLI::ValidationError("--isa", forced.error().message);
            }
          },
          "Look up with this instruction set: scalar, avx2 or avx512 (the best there is)")
      ->type_name("NAME");
}

}  // namespace portcullis::apps
