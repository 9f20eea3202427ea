// Fat binaries: a wrapper that points to a header, behind which the parts lie one after the other.
#include "tests/gpu_emulator/image.h"

#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "tests/gpu_emulator/cubin.h"
#include "tests/gpu_emulator/report.h"

namespace xbench::ptx {
namespace {

constexpr uint32_t wrapper_magic = 0x466243b1, header_magic = 0xba55ed50, elf_magic = 0x464c457f;
constexpr uint16_t kind_ptx = 1, kind_elf = 2;

template <class T>
T read(const uint8_t* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

// ".target sm_90a": 90, and whether it is for this capability only.
struct Target {
    int capability = 0;
    bool only = false;
};

Target target_of(std::string_view ptx) {
    Target target;
    const size_t at = ptx.find(".target");
    if (at == std::string_view::npos) return target;
    char suffix = ' ';
    std::sscanf(std::string(ptx.substr(at, 40)).c_str(), ".target sm_%d%c", &target.capability, &suffix);
    target.only = suffix == 'a' || suffix == 'f';
    return target;
}

bool runs_on(const Target& target, int capability) {
    return target.only ? target.capability == capability : target.capability <= capability;
}

// The newest PTX version that a driver compiles, times ten: since CUDA 11.0 one a minor version, but for a few.
int ptx_of_driver(int driver) {
    const int major = driver / 1000, minor = driver % 1000 / 10;
    if (major <= 11) return 70 + minor;
    if (major == 12) return 80 + (minor >= 6 ? minor - 1 : minor);
    return 90 + 10 * (major - 13) + minor;
}

int version_of(std::string_view ptx) {
    int major = 0, minor = 0;
    const size_t at = ptx.find(".version");
    if (at != std::string_view::npos) std::sscanf(std::string(ptx.substr(at, 30)).c_str(), ".version %d.%d", &major, &minor);
    return 10 * major + minor;
}

std::vector<std::string> ptx_parts(const uint8_t* header, Image& image, int capability) {
    std::vector<std::string> texts;
    const uint8_t* const first = header + read<uint16_t>(header + 6);
    const uint8_t* const end = first + read<uint64_t>(header + 8);
    for (const uint8_t* part = first; part < end; part += read<uint32_t>(part + 4) + read<uint64_t>(part + 8)) {
        const uint8_t* const data = part + read<uint32_t>(part + 4);
        const auto bytes = read<uint64_t>(part + 8);
        const bool compressed = read<uint32_t>(part + 16) != 0;
        if (read<uint16_t>(part) == kind_elf && !compressed &&
            (image.compiled.empty() || static_cast<int>(read<uint32_t>(part + 28)) == capability))
            image.compiled = kernels_of_cubin(data, bytes);
        if (read<uint16_t>(part) != kind_ptx) continue;
        if (compressed) {
            report(Fault::not_implemented, "compressed PTX in a fat binary; build it with nvcc --compress-mode none");
            continue;
        }
        std::string text(reinterpret_cast<const char*>(data), bytes);
        texts.push_back(text.substr(0, text.find('\0')));
    }
    return texts;
}

}  // namespace

Image image_of(const void* data, int capability, int driver) {
    Image image;
    auto at = static_cast<const uint8_t*>(data);
    if (read<uint32_t>(at) == wrapper_magic) at = read<const uint8_t*>(at + 8);
    const auto magic = read<uint32_t>(at);
    std::vector<std::string> texts;
    if (magic == header_magic)
        texts = ptx_parts(at, image, capability);
    else if (magic != elf_magic)
        texts.emplace_back(reinterpret_cast<const char*>(at));
    int best = -1;
    for (const std::string& text : texts) {
        const Target target = target_of(text);
        if (!runs_on(target, capability) || target.capability <= best) continue;
        best = target.capability;
        image.ptx = text;
    }
    if (image.ptx.empty())
        image.result = CUDA_ERROR_NO_BINARY_FOR_GPU;
    else if (version_of(image.ptx) > ptx_of_driver(driver))
        image.result = CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
    return image;
}

}  // namespace xbench::ptx
