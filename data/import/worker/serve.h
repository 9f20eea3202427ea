// The worker process itself: `xbench decode-worker`, which the import starts and users have no use for.
#pragma once

namespace xbench::worker {

// The hidden subcommand's name.
inline constexpr const char* subcommand = "decode-worker";

// Decodes what comes over the socket until its other end closes. Returns the exit code.
int serve();

}  // namespace xbench::worker
