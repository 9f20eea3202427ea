// The only user of xxhash in core.
#include "core/hash.h"

#include <fmt/format.h>
#include <xxhash.h>
#include <new>

namespace xbench {

struct Hash::State {
    XXH3_state_t* xxh = XXH3_createState();
    State() {
        if (xxh == nullptr) throw std::bad_alloc();
        XXH3_128bits_reset(xxh);
    }
    ~State() { XXH3_freeState(xxh); }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
};

Hash::Hash() : state_(std::make_unique<State>()) {}
Hash::~Hash() = default;
Hash::Hash(Hash&&) noexcept = default;
Hash& Hash::operator=(Hash&&) noexcept = default;

void Hash::add(const void* data, size_t bytes) { XXH3_128bits_update(state_->xxh, data, bytes); }

std::string Hash::hex() const {
    const XXH128_hash_t digest = XXH3_128bits_digest(state_->xxh);
    return fmt::format("{:016x}{:016x}", digest.high64, digest.low64);
}

std::string hash_hex(std::string_view text) {
    Hash hash;
    hash.add(text);
    return hash.hex();
}

}  // namespace xbench
