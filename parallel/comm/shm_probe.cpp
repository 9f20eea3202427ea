// The trial: objects of all ranks lie in /dev/shm at once, as those of the communicator will. What a rank found is told to
// all by the control plane, so that no rank waits for one that has failed.
#include "parallel/comm/shm_probe.h"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/gather.h"
#include "parallel/comm/shared_memory.h"

namespace xbench {
namespace {

std::string first_of(ControlPlane& ranks, const std::string& mine) {
    for (const std::string& text : gather_texts(ranks, mine))
        if (!text.empty()) return text;
    return {};
}

template <class F>
std::string failure_of(ControlPlane& ranks, F&& trial) {
    try {
        trial();
        return {};
    } catch (const Error& error) {
        return fmt::format("rank {}: {}", ranks.known_as(), error.what());
    }
}

}  // namespace

std::string why_no_shared_memory(ControlPlane& node, size_t bytes) {
    static std::atomic<int> tried{0};
    const char* wish = std::getenv("XBENCH_SHARED_MEMORY");
    const std::string off = wish != nullptr && std::string_view(wish) == "off" ? "XBENCH_SHARED_MEMORY is off" : "";
    if (const std::string reason = first_of(node, off); !reason.empty()) return reason;
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    const std::string mine = fmt::format("/xbench-try-{}-{}-{:x}", getpid(), tried++, now);
    SharedMemory made;
    const std::string making = failure_of(node, [&] { made = SharedMemory::create(mine, bytes); });
    const std::vector<std::string> names = gather_texts(node, mine);
    std::string reason = first_of(node, making);
    if (reason.empty()) {
        const auto next = static_cast<size_t>((node.rank() + 1) % node.size());
        reason = first_of(node, failure_of(node, [&] { SharedMemory::open(names[next], bytes); }));
    }
    if (made.data() != nullptr) SharedMemory::remove(mine);
    return reason;
}

size_t free_shared_memory() {
    struct statvfs space {};
    return statvfs("/dev/shm", &space) == 0 ? static_cast<size_t>(space.f_bavail) * space.f_frsize : 0;
}

}  // namespace xbench
