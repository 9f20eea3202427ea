// What is said when something fails that nobody turned into an Error: the last resort of a program and of its ranks. Text of
// a library's exception about its own insides is no help to a user, so each kind has a line with a reason and a remedy.
#pragma once

#include <exception>
#include <string>

#include "core/error.h"

namespace xbench {

struct Failure {
    std::string line;
    ExitCode code = ExitCode::failed;
};

Failure failure_of(const std::exception& error);

}  // namespace xbench
