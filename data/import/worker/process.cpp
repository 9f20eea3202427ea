// Starts by posix_spawn: after MPI_Init, and among threads, a fork is not safe. While an answer is awaited the worker's
// processor time is looked at every now and then.
#include "data/import/worker/process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <utility>

#include <fmt/core.h>

#include "core/error.h"
#include "data/import/worker/confine.h"
#include "data/import/worker/serve.h"

extern "C" char** environ;

namespace xbench::worker {
namespace {

constexpr size_t most_batch_bytes = size_t{8} << 20;  // of pixels
constexpr uint64_t most_answer_bytes = uint64_t{16} << 20;
constexpr int look_every_milliseconds = 50;
constexpr int most_turns_to_end = 1000;
constexpr long turn_nanoseconds = 1'000'000;

[[noreturn]] void cannot_start(int error) {
    throw Error(fmt::format("no process to decode files in: {}", std::strerror(error)), "import",
                "raise the limits on processes, open files and sizes of files (ulimit -u, -n, -f)");
}

}  // namespace

Process::Process(std::string program, const Setup& setup, size_t image_bytes)
    : program_(std::move(program)),
      setup_(setup),
      jobs_(std::clamp<size_t>(most_batch_bytes / std::max<size_t>(1, image_bytes), 1, most_files)),
      memory_bytes_(head_bytes + jobs_ * image_bytes) {}

Process::Process(Process&& other) noexcept
    : program_(other.program_),
      setup_(other.setup_),
      jobs_(other.jobs_),
      memory_bytes_(other.memory_bytes_),
      socket_(std::exchange(other.socket_, -1)),
      memory_file_(std::exchange(other.memory_file_, -1)),
      memory_(std::exchange(other.memory_, nullptr)),
      pid_(std::exchange(other.pid_, -1)) {}

Process::~Process() {
    stop();
    if (memory_ != nullptr) ::munmap(memory_, memory_bytes_);
    if (memory_file_ >= 0) ::close(memory_file_);
}

void Process::start() {
    if (memory_file_ < 0) {
        memory_file_ = ::memfd_create("xbench-decode", MFD_CLOEXEC);
        if (memory_file_ < 0 || ::ftruncate(memory_file_, static_cast<off_t>(memory_bytes_)) != 0) cannot_start(errno);
        void* memory = ::mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, memory_file_, 0);
        if (memory == MAP_FAILED) cannot_start(errno);
        memory_ = static_cast<uint8_t*>(memory);
    }
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) cannot_start(errno);
    // Numbers above those that the worker gets, so that neither dup2 closes what the other still needs.
    const int theirs = ::fcntl(ends[1], F_DUPFD_CLOEXEC, 10), memory = ::fcntl(memory_file_, F_DUPFD_CLOEXEC, 10);
    ::close(ends[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (const int stream : {0, 1, 2}) posix_spawn_file_actions_addopen(&actions, stream, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, theirs, socket_number);
    posix_spawn_file_actions_adddup2(&actions, memory, memory_number);
    std::string name = "xbench", command = subcommand;
    char* arguments[] = {name.data(), command.data(), nullptr};
    const int failure =
        theirs < 0 || memory < 0 ? EMFILE : ::posix_spawn(&pid_, program_.c_str(), &actions, nullptr, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    for (const int file : {theirs, memory})
        if (file >= 0) ::close(file);
    socket_ = ends[0];
    if (failure != 0) {
        pid_ = -1;
        stop();
        cannot_start(failure);
    }
    verdict_.clear();
    if (::send(socket_, &setup_, sizeof setup_, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof setup_)) {
        stop();
        cannot_start(EPIPE);
    }
}

void Process::stop() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
    if (pid_ > 0) end_of_process();
}

double Process::processor_seconds() const {
    clockid_t clock;
    timespec time{};
    if (::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return 0;
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Waits for its end, which a closed socket brings about; the words for it.
std::string Process::end_of_process() {
    int status = 0;
    for (int turn = 0; ::waitpid(pid_, &status, WNOHANG) == 0; ++turn) {
        if (turn == most_turns_to_end) ::kill(pid_, SIGKILL);
        const timespec pause{0, turn_nanoseconds};
        ::nanosleep(&pause, nullptr);
    }
    pid_ = -1;
    if (!verdict_.empty()) return verdict_;
    if (WIFSIGNALED(status))
        return fmt::format("decoding it ended with signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return fmt::format("decoding it ended the process with exit code {}", WEXITSTATUS(status));
}

bool Process::ask(std::span<const size_t> places, std::span<const int> open, std::span<const Job> jobs,
                  int bytes_per_pixel) {
    Request request;
    request.count = static_cast<uint32_t>(places.size());
    request.bytes_per_pixel = bytes_per_pixel;
    for (size_t i = 0; i < places.size(); ++i) request.frames[i] = jobs[places[i]].frame;
    iovec part{&request, sizeof request};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(most_files * sizeof(int))> room{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = room.data();
    message.msg_controllen = CMSG_SPACE(open.size_bytes());
    cmsghdr* control = CMSG_FIRSTHDR(&message);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(open.size_bytes());
    std::memcpy(CMSG_DATA(control), open.data(), open.size_bytes());
    // Even a worker whose import is gone comes to an end.
    const double used = processor_seconds();
    const auto limit = static_cast<rlim_t>(used + most_seconds * static_cast<double>(open.size()) + 10);
    const rlimit seconds{limit, RLIM_INFINITY};
    ::prlimit(pid_, RLIMIT_CPU, &seconds, nullptr);
    reinterpret_cast<Head*>(memory_)->current.store(0, std::memory_order_release);
    watched_ = 0;
    watched_since_ = used;
    return ::sendmsg(socket_, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof request);
}

bool Process::read_part(void* data, size_t size, size_t files) {
    auto* at = static_cast<char*>(data);
    while (size > 0) {
        pollfd event{socket_, POLLIN, 0};
        const int ready = ::poll(&event, 1, look_every_milliseconds);
        if (ready == 0) {
            const uint32_t current = reinterpret_cast<Head*>(memory_)->current.load(std::memory_order_acquire);
            const double used = processor_seconds();
            if (current != watched_) watched_ = current, watched_since_ = used;
            if (used - watched_since_ <= most_seconds || current >= files) continue;
            verdict_ = fmt::format("decoding it takes more than {} s", most_seconds);
            ::kill(pid_, SIGKILL);
            return false;
        }
        const ssize_t got = ready < 0 ? -1 : ::recv(socket_, at, size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        at += got;
        size -= static_cast<size_t>(got);
    }
    return true;
}

bool Process::read_answer(std::vector<std::byte>& packed, size_t files) {
    Answer answer;
    if (!read_part(&answer, sizeof answer, files) || answer.bytes > most_answer_bytes) return false;
    packed.resize(answer.bytes);
    return read_part(packed.data(), packed.size(), files);
}

void Process::decode(std::span<const Job> jobs, int bytes_per_pixel, DecodedFile* files, uint8_t* pixels) {
    const auto image_bytes = static_cast<size_t>(setup_.channels * setup_.size * setup_.size * bytes_per_pixel);
    std::vector<size_t> places(jobs.size());  // of the jobs without an outcome
    for (size_t i = 0; i < jobs.size(); ++i) places[i] = i;
    while (!places.empty()) {
        if (pid_ < 0) start();
        std::vector<size_t> asked;
        std::vector<int> open;
        for (const size_t place : places) {
            files[place] = {};
            const int file = open_image_file(jobs[place].path, files[place].failure);
            if (file < 0) continue;
            asked.push_back(place);
            open.push_back(file);
        }
        std::vector<std::byte> packed;
        bool done = asked.empty() || ask(asked, open, jobs, bytes_per_pixel);
        for (const int file : open) ::close(file);
        done = asked.empty() || (done && read_answer(packed, asked.size()));
        try {
            Unpacker unpacker(packed);
            for (size_t i = 0; done && i < asked.size(); ++i) {
                unpacker.take(files[asked[i]]);
                if (files[asked[i]].has_pixels())
                    std::memcpy(pixels + asked[i] * image_bytes, memory_ + head_bytes + i * image_bytes, image_bytes);
            }
            places.clear();
        } catch (const Error&) {
            done = false;
        }
        if (done) return;
        // The file that the worker was at is the one; the others are asked for again.
        const uint32_t at = reinterpret_cast<Head*>(memory_)->current.load(std::memory_order_acquire);
        const size_t guilty = asked[std::min<size_t>(at, asked.size() - 1)];
        ::close(std::exchange(socket_, -1));
        files[guilty] = {};
        files[guilty].failure = end_of_process();
        places = std::move(asked);
        std::erase(places, guilty);
    }
}

}  // namespace xbench::worker
