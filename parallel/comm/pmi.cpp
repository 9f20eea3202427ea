// The two libraries. Only what PMIx has promised since its version 2, and PMI-2 since MPICH 1.3, is used: strings.
#include "parallel/comm/pmi.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "core/error.h"
#include "core/launched.h"

namespace xbench {
namespace {

constexpr const char *pmix_library = "libpmix.so.2", *pmi2_library = "libpmi2.so.0";
constexpr const char* key = "xbench.ranks.meet";
constexpr const char* by_file = "or let the ranks meet by a file: XBENCH_RENDEZVOUS=FOLDER, one that all of them see";

template <class F>
void find(void* library, const char* name, F*& function, PmiKind kind) {
    function = reinterpret_cast<F*>(dlsym(library, name));
    if (!function) throw Error(std::string("its library has no ") + name, name_of(kind), by_file);
}

void* open_library(const char* name, const char* package, PmiKind kind) {
    void* const library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        throw Error(std::string("the launcher speaks it, and ") + name + " is not found", name_of(kind),
                    fmt::format("install {} (Debian), {}", package, by_file));
    return library;
}

void check(int result, const char* doing, PmiKind kind) {
    if (result != 0) throw Error(fmt::format("{} failed with {}", doing, result), name_of(kind), by_file);
}

// The libraries know no time limit: a rank that does not come would be waited for in vain. What is given up goes on in a
// thread of its own, until the process ends; it may touch nothing that the caller owns.
void within(double seconds, const char* doing, PmiKind kind, std::function<int()> call) {
    std::packaged_task<int()> task(std::move(call));
    std::future<int> result = task.get_future();
    std::thread(std::move(task)).detach();
    if (seconds > 0 && result.wait_for(std::chrono::duration<double>(seconds)) == std::future_status::timeout)
        throw Error(fmt::format("waited {:.3g} s for the other ranks in {}", seconds, doing), name_of(kind),
                    "look at what the launcher says about ranks that did not start");
    check(result.get(), doing, kind);
}

// pmix_proc_t and pmix_value_t of a string, as all versions have them; the room is that of the largest other value.
struct PmixProcess {
    char nspace[256] = {};
    uint32_t rank = 0;
};
struct PmixValue {
    uint16_t type = 0;
    union {
        char* string;
        char room[56];
    };
};
constexpr uint16_t pmix_string = 3;
constexpr uint8_t pmix_global = 3;

class Patient : public PmiClient {
protected:
    explicit Patient(PmiKind kind) : kind_(kind) {}
    void wait(double seconds, const char* doing, std::function<int()> call) {
        given_up_ = true;
        within(seconds, doing, kind_, std::move(call));
        given_up_ = false;
    }
    bool given_up() const { return given_up_; }  // a call is under way for ever: to finalize would wait for it

private:
    const PmiKind kind_;
    bool given_up_ = false;
};

class Pmix final : public Patient {
public:
    Pmix() : Patient(PmiKind::pmix) {
        void* const library = open_library(pmix_library, "libpmix2", PmiKind::pmix);
        find(library, "PMIx_Init", init_, PmiKind::pmix);
        find(library, "PMIx_Put", put_, PmiKind::pmix);
        find(library, "PMIx_Commit", commit_, PmiKind::pmix);
        find(library, "PMIx_Fence", fence_, PmiKind::pmix);
        find(library, "PMIx_Get", get_, PmiKind::pmix);
        find(library, "PMIx_Finalize", finalize_, PmiKind::pmix);
        check(init_(&me_, nullptr, 0), "joining the ranks", PmiKind::pmix);
    }
    ~Pmix() override {
        if (!given_up()) finalize_(nullptr, 0);
    }
    void put(const std::string& text, double seconds) override {
        text_ = text;
        PmixValue value;
        value.type = pmix_string;
        value.string = text_.data();
        if (me_.rank == 0) check(put_(pmix_global, key, &value), "saying where rank 0 is", PmiKind::pmix);
        check(commit_(), "saying where rank 0 is", PmiKind::pmix);
        wait(seconds, "coming together", [fence = fence_] { return fence(nullptr, 0, nullptr, 0); });
    }
    std::string get(double seconds) override {
        auto from = std::make_shared<PmixProcess>(me_);
        from->rank = 0;
        auto found = std::make_shared<PmixValue*>(nullptr);
        wait(seconds, "asking where rank 0 is",
             [get = get_, from, found] { return get(from.get(), key, nullptr, 0, found.get()); });
        if (!*found || (*found)->type != pmix_string)
            throw Error("gives no text of rank 0", name_of(PmiKind::pmix), by_file);
        return (*found)->string;  // its memory stays until the end: one text
    }

private:
    int (*init_)(PmixProcess*, void*, size_t) = nullptr;
    int (*put_)(uint8_t, const char*, PmixValue*) = nullptr;
    int (*commit_)() = nullptr;
    int (*fence_)(const PmixProcess*, size_t, const void*, size_t) = nullptr;
    int (*get_)(const PmixProcess*, const char*, const void*, size_t, PmixValue**) = nullptr;
    int (*finalize_)(const void*, size_t) = nullptr;
    PmixProcess me_;
    std::string text_;
};

class Pmi2 final : public Patient {
public:
    Pmi2() : Patient(PmiKind::pmi2) {
        void* const library = open_library(pmi2_library, "libpmi2-0", PmiKind::pmi2);
        find(library, "PMI2_Init", init_, PmiKind::pmi2);
        find(library, "PMI2_KVS_Put", put_, PmiKind::pmi2);
        find(library, "PMI2_KVS_Fence", fence_, PmiKind::pmi2);
        find(library, "PMI2_KVS_Get", get_, PmiKind::pmi2);
        find(library, "PMI2_Finalize", finalize_, PmiKind::pmi2);
        int spawned = 0, size = 0, number = 0;
        check(init_(&spawned, &size, &rank_, &number), "joining the ranks", PmiKind::pmi2);
    }
    ~Pmi2() override {
        if (!given_up()) finalize_();
    }
    void put(const std::string& text, double seconds) override {
        if (rank_ == 0) check(put_(key, text.c_str()), "saying where rank 0 is", PmiKind::pmi2);
        wait(seconds, "coming together", [fence = fence_] { return fence(); });
    }
    std::string get(double seconds) override {
        const auto text = std::make_shared<std::array<char, longest_value + 1>>();
        const auto bytes = std::make_shared<int>(0);
        wait(seconds, "asking where rank 0 is",
             [get = get_, text, bytes] { return get(nullptr, any_rank, key, text->data(), longest_value, bytes.get()); });
        return text->data();
    }

private:
    static constexpr int longest_value = 1024, any_rank = -1;
    int (*init_)(int*, int*, int*, int*) = nullptr;
    int (*put_)(const char*, const char*) = nullptr;
    int (*fence_)() = nullptr;
    int (*get_)(const char*, int, const char*, char*, int, int*) = nullptr;
    int (*finalize_)() = nullptr;
    int rank_ = 0;
};

bool is_set(const char* name) { return std::getenv(name) != nullptr; }

}  // namespace

const char* name_of(PmiKind kind) {
    static constexpr std::array names{"no PMI", "PMIx", "PMI-2"};
    return names[static_cast<size_t>(kind)];
}

bool has_library(PmiKind kind) {
    void* const library =
        kind == PmiKind::none ? nullptr : dlopen(kind == PmiKind::pmix ? pmix_library : pmi2_library, RTLD_NOW | RTLD_LOCAL);
    if (library) dlclose(library);
    return library != nullptr;
}

PmiKind pmi_of_launcher() {
    if (launched().by == "WORLD_SIZE") return PmiKind::none;  // a script inside of a step: the step knows one process of it
    if (is_set("PMIX_RANK") && is_set("PMIX_NAMESPACE")) return PmiKind::pmix;
    return is_set("PMI_FD") && is_set("SLURM_STEP_ID") ? PmiKind::pmi2 : PmiKind::none;
}

bool has_only_pmi2() { return pmi_of_launcher() == PmiKind::pmi2 && !is_set("OMPI_COMM_WORLD_SIZE"); }

std::unique_ptr<PmiClient> make_pmi_client(PmiKind kind) {
    if (kind == PmiKind::pmix) return std::make_unique<Pmix>();
    if (kind == PmiKind::pmi2) return std::make_unique<Pmi2>();
    throw Error("the launcher of these ranks speaks neither PMIx nor PMI-2", "XBENCH_RENDEZVOUS",
                "start them with srun --mpi=pmix or --mpi=pmi2, or name a folder that all ranks see");
}

}  // namespace xbench
