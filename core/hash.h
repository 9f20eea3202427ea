// XXH3-128 over bytes that arrive in pieces; digests are 32 hexadecimal digits. It is not cryptographic: it tells records,
// data sets and weights apart.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace xbench {

class Hash {
public:
    Hash();
    ~Hash();
    Hash(Hash&&) noexcept;
    Hash& operator=(Hash&&) noexcept;

    void add(const void* data, size_t bytes);
    void add(std::string_view text) { add(text.data(), text.size()); }
    std::string hex() const;  // of everything added so far

private:
    struct State;
    std::unique_ptr<State> state_;
};

std::string hash_hex(std::string_view text);

}  // namespace xbench
