// Fat binaries: a wrapper that points to a header, behind which the parts lie one after the other.
#include "tests/gpu_emulator/image.h"

#include <cstdint>
#include <cstring>

#include "tests/gpu_emulator/report.h"

namespace xbench::ptx {
namespace {

constexpr uint32_t wrapper_magic = 0x466243b1, header_magic = 0xba55ed50, elf_magic = 0x464c457f;
constexpr uint16_t kind_ptx = 1;

template <class T>
T read(const uint8_t* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

}  // namespace

std::string ptx_of(const void* image) {
    auto at = static_cast<const uint8_t*>(image);
    if (read<uint32_t>(at) == wrapper_magic) at = read<const uint8_t*>(at + 8);
    const auto magic = read<uint32_t>(at);
    if (magic == elf_magic) return "";
    if (magic != header_magic) return std::string(reinterpret_cast<const char*>(at));
    const uint8_t* const first = at + read<uint16_t>(at + 6);
    const uint8_t* const end = first + read<uint64_t>(at + 8);
    for (const uint8_t* part = first; part < end; part += read<uint32_t>(part + 4) + read<uint64_t>(part + 8)) {
        if (read<uint16_t>(part) != kind_ptx) continue;
        if (read<uint32_t>(part + 16) != 0) {
            report(Fault::not_implemented, "compressed PTX in a fat binary; build it with nvcc --compress-mode none");
            return "";
        }
        const std::string text(reinterpret_cast<const char*>(part) + read<uint32_t>(part + 4), read<uint64_t>(part + 8));
        return text.substr(0, text.find('\0'));
    }
    return "";
}

}  // namespace xbench::ptx
