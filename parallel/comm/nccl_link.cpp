// Connecting, and ending what does not come.
#include "parallel/comm/nccl_link.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.h"

namespace xbench {
namespace {

// All links of a rank share its time limit, by which they find each other: what one of them waits for in vain holds up the
// others' work on the device, and the memory that it uses.
struct Links {
    std::mutex mutex;
    std::vector<std::pair<const WaitLimit*, NcclLink*>> all;
};
Links& links() {
    static Links links;
    return links;
}

// NCCL tells its kernels to end at once, and then waits for graphs that hold calls of the communicator to go away, which is
// for their owner to do: so this returns after a moment in any case.
void abort_soon(const Nccl& nccl, NcclComm comm) noexcept try {
    constexpr std::chrono::milliseconds moment(1000), short_while(1);
    const auto done = std::make_shared<std::atomic<bool>>(false);
    std::thread([&nccl, comm, done] {
        nccl.ncclCommAbort(comm);
        *done = true;
    }).detach();
    for (auto waited = short_while; !*done && waited < moment; waited += short_while)
        std::this_thread::sleep_for(short_while);
} catch (const std::system_error&) {  // no thread any more
    nccl.ncclCommAbort(comm);
}

constexpr const char* recorded_calls = "the recorded collectives";

}  // namespace

NcclLink::NcclLink(Communicator& ranks, Device& device)
    : nccl_(*nccl_library()), ranks_(ranks), device_(device), rank_(ranks.rank()), size_(ranks.size()) {
    connect();
    {
        const std::lock_guard lock(links().mutex);
        links().all.emplace_back(ranks_.wait_limit().get(), this);
    }
    device_.look_while_waiting(this, [this](double waited_seconds) { look(waited_seconds); });
}

NcclLink::~NcclLink() {
    {
        const std::lock_guard lock(links().mutex);
        std::erase_if(links().all, [this](const auto& link) { return link.second == this; });
    }
    device_.look_while_waiting(this, nullptr);
    const NcclComm comm = comm_.exchange(nullptr);
    if (!comm) return;
    if (std::uncaught_exceptions() > 0) {  // the peers do not come to an orderly end
        abort_soon(nccl_, comm);
        return;
    }
    int state = nccl_.ncclCommFinalize(comm);
    while (state == nccl_in_progress && nccl_.ncclCommGetAsyncError(comm, &state) == nccl_success) std::this_thread::yield();
    nccl_.ncclCommDestroy(comm);
}

void NcclLink::connect() {
    device_.wait();  // makes the device this thread's
    NcclId id{};
    if (rank_ == 0) settle(nccl_.ncclGetUniqueId(&id), "connecting", 0);
    std::vector<std::byte> mine(rank_ == 0 ? sizeof id : 0);
    if (rank_ == 0) std::memcpy(mine.data(), &id, sizeof id);
    const std::vector<std::byte> all = ranks_.all_gather_bytes(mine);
    std::memcpy(&id, all.data(), sizeof id);
    NcclConfig config;
    NcclComm comm = nullptr;
    const int result = nccl_.ncclCommInitRankConfig(&comm, size_, id, rank_, &config);
    comm_ = comm;
    settle(result, "connecting", 0);
}

void NcclLink::check_connected() const {
    if (!comm_) throw Error("the ranks are no longer connected", "NCCL, rank " + std::to_string(ranks_.known_as()));
}

void NcclLink::abandon() noexcept {
    const std::lock_guard lock(links().mutex);
    for (const auto& [limit, link] : links().all)
        if (limit == ranks_.wait_limit().get() || link == this)
            if (const NcclComm comm = link->comm_.exchange(nullptr)) abort_soon(nccl_, comm);
    if (const NcclComm comm = comm_.exchange(nullptr)) abort_soon(nccl_, comm);  // while it connects
}

void NcclLink::give_up(const std::string& what, const std::string& remedy) {
    const NcclComm comm = comm_;
    const char* const more = comm ? nccl_.ncclGetLastError(comm) : nullptr;
    const std::string text = more && *more ? what + ": " + more : what;
    abandon();
    throw Error(text, "NCCL, rank " + std::to_string(ranks_.known_as()), remedy);
}

// "unhandled CUDA error, in all_reduce of 4 MiB at step 17"
std::string NcclLink::failure(int result, const char* operation, uint64_t bytes) const {
    const uint32_t step = ranks_.wait_limit()->step;
    return std::string(nccl_.ncclGetErrorString(result)) + ", in " + operation + " of " + size_text(bytes) +
           (step > 0 ? " at step " + std::to_string(step) : " before the first step");
}

// Another rank has failed: for a moment it may still say why itself, which ends this one, or become known as lost.
bool NcclLink::may_be_explained(int result) {
    constexpr double moment_seconds = 3;
    if (result != nccl_remote_error) return false;
    if (!remote_error_) remote_error_ = Clock::now();
    return std::chrono::duration<double>(Clock::now() - *remote_error_).count() < moment_seconds;
}

void NcclLink::check_lost(const char* operation, uint64_t bytes) {
    const WaitLimit& limit = *ranks_.wait_limit();
    if (limit.lost >= 0) give_up(lost_text(limit, ranks_.known_as(), operation, bytes), lost_remedy);
}

void NcclLink::check_time(double waited_seconds, const char* operation, uint64_t bytes) {
    const WaitLimit& limit = *ranks_.wait_limit();
    if (limit.seconds > 0 && waited_seconds > limit.seconds)
        give_up(waited_text(limit, ranks_.known_as(), -1, operation, bytes));
}

// A call that is in progress has to come to its end before the next one.
void NcclLink::settle(int result, const char* operation, uint64_t bytes) {
    const auto start = Clock::now();
    while (result == nccl_in_progress || may_be_explained(result)) {
        check_connected();
        if (nccl_.ncclCommGetAsyncError(comm_, &result) != nccl_success) break;
        check_lost(operation, bytes);
        check_time(std::chrono::duration<double>(Clock::now() - start).count(), operation, bytes);
        std::this_thread::yield();
    }
    if (result != nccl_success) give_up(failure(result, operation, bytes));
}

void NcclLink::note(const char* operation, uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    if (device_.is_recording()) {
        recorded_bytes_ += bytes;
        return;
    }
    pending_.push_back({device_.record(), operation, bytes, Clock::now()});
    while (pending_.size() > 1 && device_.is_done(pending_.front().done)) pending_.pop_front();
}

// Of a host that waits: whether what is waited for still comes. A call of a step that is replayed leaves no trace of its
// own.
void NcclLink::look(double waited_seconds) {
    Pending oldest = oldest_pending().value_or(Pending{});
    if (oldest.operation)
        waited_seconds = std::chrono::duration<double>(Clock::now() - oldest.since).count();
    else if (recorded_bytes_ > 0)
        oldest.operation = recorded_calls, oldest.bytes = recorded_bytes_;
    const NcclComm comm = comm_;
    if (!oldest.operation || !comm) return;
    int state = nccl_success;
    nccl_.ncclCommGetAsyncError(comm, &state);
    check_lost(oldest.operation, oldest.bytes);
    if (state != nccl_success && state != nccl_in_progress && !may_be_explained(state))
        give_up(failure(state, oldest.operation, oldest.bytes));
    check_time(waited_seconds, oldest.operation, oldest.bytes);
}

// With the moment since when it has been the oldest.
std::optional<NcclLink::Pending> NcclLink::oldest_pending() {
    const std::lock_guard lock(mutex_);
    while (!pending_.empty() && device_.is_done(pending_.front().done)) {
        pending_.pop_front();
        if (!pending_.empty()) pending_.front().since = Clock::now();
    }
    if (pending_.empty()) return std::nullopt;
    return pending_.front();
}

}  // namespace xbench
