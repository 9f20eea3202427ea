// Tries a file in a child process. HDF5's library crashes on some damaged files (for one, a B-tree that points at itself
// overflows the stack). No check of ours can foresee that and no exception can stop it; in a child it costs only an error
// message.
#pragma once

#include <functional>
#include <string>

namespace xbench::h5 {

// Runs `trial` in a fork of this process and throws Error when it throws, crashes, or takes longer than a minute of
// processor time. Call it under the library's lock.
void probe(const std::string& path, const std::function<void()>& trial);

}  // namespace xbench::h5
