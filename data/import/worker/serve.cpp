// Waits for files, decodes them one after the other, answers. The process is confined before it sees the first of them.
//
// With XBENCH_TEST_WORKER in the environment a file that begins with XBENCH-CRASH, XBENCH-SPIN or XBENCH-BOMB does to the
// worker what its name says, for the tests of the import.
#include "data/import/worker/serve.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "data/import/decoders.h"
#include "data/import/file_decoder.h"
#include "data/import/worker/confine.h"
#include "data/import/worker/protocol.h"

namespace xbench::worker {
namespace {

using Files = std::array<int, most_files>;

bool send_all(const void* data, size_t size) {
    const auto* at = static_cast<const char*>(data);
    while (size > 0) {
        const ssize_t sent = ::write(socket_number, at, size);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        at += sent;
        size -= static_cast<size_t>(sent);
    }
    return true;
}

// False when the other end has closed, or speaks another language.
bool receive(Request& request, Files& files) {
    iovec part{&request, sizeof request};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(Files))> room{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = room.data();
    message.msg_controllen = room.size();
    ssize_t got = 0;
    do {
        got = ::recvmsg(socket_number, &message, 0);
    } while (got < 0 && errno == EINTR);
    if (got != static_cast<ssize_t>(sizeof request) || request.count > most_files) return false;
    const cmsghdr* control = CMSG_FIRSTHDR(&message);
    if (control == nullptr || control->cmsg_len != CMSG_LEN(request.count * sizeof(int))) return false;
    std::memcpy(files.data(), CMSG_DATA(control), request.count * sizeof(int));
    return true;
}

void misbehave(int file) {
    char text[16] = {};
    if (::read(file, text, 12) != 12) return;
    ::lseek(file, 0, SEEK_SET);
    const std::string_view what(text, 12);
    if (what == "XBENCH-CRASH") std::raise(SIGSEGV);
    if (what == "XBENCH-SPIN\n") {
        volatile bool forever = true;
        while (forever) {
        }
    }
    if (what == "XBENCH-BOMB\n") {
        std::vector<std::vector<char>> hoard;
        while (true) hoard.emplace_back(size_t{64} << 20, 'x');
    }
}

class Server {
public:
    Server(const Setup& setup, uint8_t* memory)
        : decoder_(setup.channels, setup.size), memory_(memory), head_(*reinterpret_cast<Head*>(memory)) {}

    bool answer(const Request& request, const Files& files) {
        Packer packer;
        const size_t image_bytes = decoder_.image_bytes(request.bytes_per_pixel);
        for (uint32_t i = 0; i < request.count; ++i) {
            head_.current.store(i, std::memory_order_release);
            packer.add(decode(files[i], request, i, memory_ + head_bytes + i * image_bytes));
            ::close(files[i]);
        }
        const Answer head{packer.bytes.size()};
        return send_all(&head, sizeof head) && send_all(packer.bytes.data(), packer.bytes.size());
    }

private:
    DecodedFile decode(int file, const Request& request, uint32_t i, uint8_t* pixels) {
        try {
            if (testing_) misbehave(file);
        } catch (const std::bad_alloc&) {
            DecodedFile outcome;
            outcome.failure = "not enough memory to decode it";
            return outcome;
        }
        return decoder_.decode(file, request.frames[i], request.bytes_per_pixel, pixels);
    }

    FileDecoder decoder_;
    uint8_t* const memory_;
    Head& head_;
    const bool testing_ = std::getenv("XBENCH_TEST_WORKER") != nullptr;
};

}  // namespace

int serve() {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGPIPE})
        std::signal(signal, SIG_IGN);  // the import's to heed
    Setup setup;
    struct stat status {};
    if (::read(socket_number, &setup, sizeof setup) != static_cast<ssize_t>(sizeof setup) ||
        ::fstat(memory_number, &status) != 0)
        return 2;
    void* memory =
        ::mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ | PROT_WRITE, MAP_SHARED, memory_number, 0);
    if (memory == MAP_FAILED) return 1;
    Server server(setup, static_cast<uint8_t*>(memory));
    prepare_decoders();
    ::close_range(memory_number, ~0u, 0);
    confine();
    Request request;
    Files files{};
    while (receive(request, files)) {
        if (!server.answer(request, files)) break;
    }
    return 0;
}

}  // namespace xbench::worker
