// Registers and stacks of kernels: the attributes in a cubin's section .nv.info, by number of their symbol.
#include "tests/gpu_emulator/cubin.h"

#include <elf.h>

#include <cstring>
#include <vector>

namespace xbench::ptx {
namespace {

constexpr uint8_t with_size = 4, attribute_registers = 0x2f, attribute_frame = 0x11;

template <class T>
T read(const uint8_t* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

class Cubin {
public:
    Cubin(const uint8_t* data, size_t bytes) : data_(data), bytes_(bytes) {
        if (bytes < sizeof(Elf64_Ehdr)) return;
        const auto header = read<Elf64_Ehdr>(data);
        if (header.e_shoff + size_t{header.e_shnum} * sizeof(Elf64_Shdr) > bytes || header.e_shstrndx >= header.e_shnum)
            return;
        for (size_t s = 0; s < header.e_shnum; ++s)
            sections_.push_back(read<Elf64_Shdr>(data + header.e_shoff + s * sizeof(Elf64_Shdr)));
        names_ = sections_[header.e_shstrndx].sh_offset;
    }

    std::map<std::string, Compiled> kernels() const {
        std::map<std::string, Compiled> all;
        const Elf64_Shdr *const info = section(".nv.info"), *const symbols = section(".symtab"),
                                *const strings = section(".strtab");
        if (!info || !symbols || !strings) return all;
        for (size_t at = info->sh_offset; at + 4 <= info->sh_offset + info->sh_size;) {
            const uint8_t format = data_[at], attribute = data_[at + 1];
            const auto size = format == with_size ? read<uint16_t>(data_ + at + 2) : uint16_t{0};
            if (format == with_size && size == 8 && (attribute == attribute_registers || attribute == attribute_frame)) {
                const auto symbol =
                    read<Elf64_Sym>(data_ + symbols->sh_offset + size_t{read<uint32_t>(data_ + at + 4)} * sizeof(Elf64_Sym));
                Compiled& kernel = all[text(strings->sh_offset + symbol.st_name)];
                (attribute == attribute_registers ? kernel.registers : kernel.stack_bytes) =
                    static_cast<int>(read<uint32_t>(data_ + at + 8));
            }
            at += 4 + size_t{size};
        }
        return all;
    }

private:
    std::string text(size_t at) const {
        return at < bytes_ ? std::string(reinterpret_cast<const char*>(data_) + at) : std::string();
    }
    const Elf64_Shdr* section(const char* name) const {
        for (const Elf64_Shdr& s : sections_)
            if (text(names_ + s.sh_name) == name && s.sh_offset + s.sh_size <= bytes_) return &s;
        return nullptr;
    }

    const uint8_t* data_;
    size_t bytes_, names_ = 0;
    std::vector<Elf64_Shdr> sections_;
};

}  // namespace

std::map<std::string, Compiled> kernels_of_cubin(const uint8_t* data, size_t bytes) { return Cubin(data, bytes).kernels(); }

}  // namespace xbench::ptx
