// SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104) over bytes at hand, for names that must not be guessed back and for sums
// that others can check with sha256sum. Slower than core/hash.h, which is not cryptographic.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace xbench {

using Sha256 = std::array<uint8_t, 32>;

Sha256 sha256(std::string_view bytes);
Sha256 hmac_sha256(std::string_view key, std::string_view bytes);
std::string hex_of(const Sha256& digest);

}  // namespace xbench
