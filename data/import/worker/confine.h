// What a worker process gives up before it looks at a file that nobody trusts.
#pragma once

#include <string>

namespace xbench::worker {

// Bytes of private memory that a worker may use.
inline constexpr size_t most_memory_bytes = size_t{512} << 20;

// Limits on memory, files and cores, no new privileges, and no system calls but those that decoding needs (where libseccomp
// is part of the build). Opens nothing afterwards. Under a sanitizer, whose own memory and calls these would hit: nothing.
void confine();
bool confines_calls();  // whether this build limits system calls

// The filter itself; does nothing where the build has no libseccomp.
void limit_calls();

}  // namespace xbench::worker
