// Tries out a file in a child process. HDF5's library crashes on some damaged files (a B-tree that points at itself
// overflows its stack, for one), which no check of ours can foresee and no exception can stop; in a child it only costs
// an error message.
#pragma once

#include <functional>
#include <string>

namespace xbench::h5 {

// Runs `trial` in a fork of this process and throws Error when it throws, crashes, or takes longer than a minute of
// processor time. Call it under the library's lock.
void probe(const std::string& path, const std::function<void()>& trial);

}  // namespace xbench::h5
