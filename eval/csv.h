// One field of a comma-separated file: quoted only where it has to be (RFC 4180).
#pragma once

#include <string>

namespace xbench {

std::string csv_field(const std::string& text);

}  // namespace xbench
