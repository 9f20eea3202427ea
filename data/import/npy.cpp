// A small reader of the head's one form: {'descr': '<u2', 'fortran_order': False, 'shape': (3, 4), }.
#include "data/import/npy.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include <fmt/core.h>

#include "core/error.h"

namespace xbench {
namespace {

constexpr size_t most_head_bytes = size_t{64} << 10;
constexpr int64_t most_side = int64_t{1} << 40;

// What follows 'key': in the dictionary.
std::string_view value_of(std::string_view text, const char* key) {
    const size_t at = text.find(fmt::format("'{}'", key));
    const size_t colon = at == std::string_view::npos ? at : text.find(':', at);
    if (colon == std::string_view::npos) throw Error(fmt::format("broken npy: no '{}' in its head", key));
    text.remove_prefix(colon + 1);
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    return text;
}

void read_type(std::string_view text, NpyHead& head) {
    if (!text.starts_with('\'')) throw Error("an npy array of records is not supported");
    const size_t end = text.find('\'', 1);
    const std::string type(text.substr(1, end == std::string_view::npos ? 0 : end - 1));
    if (type.find('O') != std::string::npos)
        throw Error("an npy array of Python objects (pickle) is not read: it could run any program");
    const std::string known = "<>|=";
    const bool marked = type.size() == 3 && known.find(type[0]) != std::string::npos;
    const std::string kinds = "buif", widths = "1248";
    if (!marked || kinds.find(type[1]) == std::string::npos || widths.find(type[2]) == std::string::npos ||
        (type[1] == 'b' && type[2] != '1') || (type[1] == 'f' && type[2] < '4'))
        throw Error(fmt::format("an npy array of type '{}' is not supported", type));
    head.big_endian = type[0] == '>';
    head.kind = type[1];
    head.bytes = type[2] - '0';
}

void read_shape(std::string_view text, NpyHead& head) {
    const size_t end = text.find(')');
    if (!text.starts_with('(') || end == std::string_view::npos) throw Error("broken npy: no shape in its head");
    for (size_t at = 1; at < end;) {
        if (text[at] == ' ' || text[at] == ',') {
            ++at;
            continue;
        }
        int64_t side = 0;
        const auto [stop, failure] = std::from_chars(text.data() + at, text.data() + end, side);
        if (failure == std::errc::result_out_of_range || side > most_side) throw Error("broken npy: an absurd shape");
        if (failure != std::errc{} || side < 0) throw Error("broken npy: a shape that is none");
        head.shape.push_back(side);
        at = static_cast<size_t>(stop - text.data());
    }
}

}  // namespace

uint64_t NpyHead::elements() const {
    uint64_t count = 1;
    for (const int64_t length : shape) {
        if (length > 0 && count > (uint64_t{1} << 60) / static_cast<uint64_t>(length))
            throw Error("broken npy: an absurd shape");
        count *= static_cast<uint64_t>(length);
    }
    return count;
}

NpyHead parse_npy(std::string_view start) {
    if (!start.starts_with("\x93NUMPY") || start.size() < 12) throw Error("not an npy array");
    const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<uint8_t>(start[i])); };
    const bool first_version = start[6] == 1;
    const size_t length = first_version ? byte(8) | byte(9) << 8 : byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24;
    const size_t at = first_version ? 10 : 12;
    if (start[6] < 1 || start[6] > 3) throw Error(fmt::format("npy version {} is not known", int{start[6]}));
    if (length > most_head_bytes || at + length > start.size()) throw Error("broken npy: a head that does not end");
    const std::string_view text = start.substr(at, length);
    NpyHead head;
    head.head_bytes = at + length;
    read_type(value_of(text, "descr"), head);
    const std::string_view order = value_of(text, "fortran_order");
    if (!order.starts_with("True") && !order.starts_with("False")) throw Error("broken npy: no order in its head");
    head.fortran = order.starts_with("True");
    read_shape(value_of(text, "shape"), head);
    return head;
}

double npy_number(const NpyHead& head, const uint8_t* elements, size_t i) {
    const auto width = static_cast<size_t>(head.bytes);
    uint64_t bits = 0;
    for (size_t b = 0; b < width; ++b) {
        const size_t place = head.big_endian ? width - 1 - b : b;
        bits |= uint64_t{elements[i * width + place]} << (8 * b);
    }
    if (head.kind == 'f')
        return width == 4 ? std::bit_cast<float>(static_cast<uint32_t>(bits)) : std::bit_cast<double>(bits);
    if (head.kind != 'i') return static_cast<double>(bits);
    const uint64_t sign = uint64_t{1} << (8 * width - 1);
    return static_cast<double>(static_cast<int64_t>((bits ^ sign) - sign));
}

}  // namespace xbench
