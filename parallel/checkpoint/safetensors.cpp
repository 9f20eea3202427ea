// Reading trusts nothing: lengths are compared with the file's size before anything is allocated, names are unique, the
// tensors fill the data section without holes or overlaps (which the format demands), products cannot overflow.
#include "parallel/checkpoint/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <set>

#include <fmt/core.h>

#include "core/durable_file.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json.h"

namespace xbench {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors holds little-endian numbers");

constexpr uint64_t max_header_bytes = 100'000'000;  // as Hugging Face's library
constexpr const char* remedy = "the file is damaged or no safetensors file; copy it again, or name another checkpoint";

struct Entry {
    std::string name, dtype;
    Shape shape;
    uint64_t begin = 0, end = 0;
};

struct Header {
    std::vector<Entry> entries;
    std::map<std::string, std::string> metadata;
};

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what, const std::string& tensor = {}) {
    throw Error(what, tensor.empty() ? path.string() : path.string() + ": " + tensor, remedy);
}

// What people have instead: a zip file, a pickle, an HDF5 file, told by the first bytes where these are no length.
void refuse_other_formats(const std::filesystem::path& path, uint64_t first_bytes) {
    constexpr uint64_t zip = 0x04034b50, hdf5 = 0x0a1a0a0d46444889;
    const char* what = nullptr;
    if ((first_bytes & 0xffffffff) == zip) what = "is a zip file, as torch.save() and Keras write them";
    if ((first_bytes & 0xff) == 0x80 && ((first_bytes >> 8) & 0xff) <= 5) what = "is a pickle, as torch.save() wrote them";
    if (first_bytes == hdf5) what = "is an HDF5 file, as Keras writes them";
    if (what != nullptr)
        throw Error(what, path.string(), "save the weights with safetensors.torch.save_file(model.state_dict(), FILE)");
}

// Bytes of an element that this reader understands; 0 for others.
uint64_t element_bytes(const std::string& dtype) {
    if (dtype == "F64" || dtype == "I64") return 8;
    if (dtype == "F32") return 4;
    if (dtype == "F16" || dtype == "BF16") return 2;
    return 0;
}

// Sorted keys: the insertion-ordered Json looks each key up from the front, which a hostile header of millions would abuse.
using SortedJson = nlohmann::json;

// nlohmann/json keeps the last of two equal keys and nests as deep as the text: both are refused here.
SortedJson parse_header(const std::filesystem::path& path, const std::string& text) {
    std::vector<std::set<std::string>> keys;
    const auto check = [&](int depth, SortedJson::parse_event_t event, SortedJson& parsed) {
        if (depth > 4) fail(path, "the header is nested too deeply");
        if (event == SortedJson::parse_event_t::object_start) keys.emplace_back();
        if (event == SortedJson::parse_event_t::object_end) keys.pop_back();
        if (event == SortedJson::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) {
            fail(path, "the header names something twice", parsed.get<std::string>());
        }
        return true;
    };
    try {
        SortedJson header = SortedJson::parse(text, check);
        if (!header.is_object()) fail(path, "the header is no JSON object");
        return header;
    } catch (const SortedJson::exception& error) {
        fail(path, fmt::format("the header is no JSON: {}", json_reason(error)));
    }
}

Shape parse_shape(const std::filesystem::path& path, const std::string& name, const SortedJson& json, uint64_t& elements) {
    Shape shape;
    elements = 1;
    if (!json.is_array()) fail(path, "shape is no list", name);
    if (json.size() > shape.dim.size())
        fail(path, fmt::format("{} dimensions, at most {} are read", json.size(), shape.dim.size()), name);
    for (const SortedJson& dim : json) {
        if (!dim.is_number_unsigned()) fail(path, "a dimension is no whole number", name);
        const auto size = dim.get<uint64_t>();
        if (size > (uint64_t{1} << 48) || (size != 0 && elements > (uint64_t{1} << 48) / size))
            fail(path, "absurd shape", name);
        elements *= size;
        shape[shape.rank++] = static_cast<int64_t>(size);
    }
    return shape;
}

Entry parse_entry(const std::filesystem::path& path, const std::string& name, const SortedJson& json, uint64_t data_bytes) {
    if (!json.is_object() || !json.contains("dtype") || !json.contains("shape") || !json.contains("data_offsets")) {
        fail(path, "dtype, shape or data_offsets is missing", name);
    }
    const SortedJson &dtype = json["dtype"], &offsets = json["data_offsets"];
    if (!dtype.is_string()) fail(path, "dtype is no string", name);
    Entry entry{.name = name, .dtype = dtype.get<std::string>(), .shape = {}, .begin = 0, .end = 0};
    uint64_t elements = 0;
    entry.shape = parse_shape(path, name, json["shape"], elements);
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned()) {
        fail(path, "data_offsets are not two whole numbers", name);
    }
    entry.begin = offsets[0].get<uint64_t>();
    entry.end = offsets[1].get<uint64_t>();
    if (entry.begin > entry.end || entry.end > data_bytes) {
        fail(path, fmt::format("bytes {} to {} lie outside of the {} bytes of data", entry.begin, entry.end, data_bytes),
             name);
    }
    const uint64_t size = element_bytes(entry.dtype);
    if (size == 0) {
        throw Error(fmt::format("numbers of type {} are not read", entry.dtype), path.string() + ": " + name,
                    "export the weights as F32, F64, F16 or BF16");
    }
    if (entry.end - entry.begin != elements * size) {
        fail(path, fmt::format("{} bytes for {} elements of {}", entry.end - entry.begin, elements, entry.dtype), name);
    }
    return entry;
}

Header parse(const std::filesystem::path& path, const std::string& text, uint64_t data_bytes) {
    Header header;
    const SortedJson json = parse_header(path, text);
    for (const auto& [name, value] : json.items()) {
        if (name != "__metadata__") {
            header.entries.push_back(parse_entry(path, name, value, data_bytes));
            continue;
        }
        if (!value.is_object()) fail(path, "__metadata__ is no object");
        for (const auto& [key, item] : value.items()) {
            if (!item.is_string()) fail(path, "a value of __metadata__ is no string", key);
            header.metadata[key] = item.get<std::string>();
        }
    }
    std::stable_sort(header.entries.begin(), header.entries.end(),
                     [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
    uint64_t at = 0;
    for (const Entry& entry : header.entries) {
        if (entry.begin != at)
            fail(path, entry.begin < at ? "overlaps another tensor" : "there is a hole in front of it", entry.name);
        at = entry.end;
    }
    if (at != data_bytes) fail(path, fmt::format("{} bytes behind the last tensor", data_bytes - at));
    return header;
}

float half_to_float(uint16_t half) {
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16, exponent = (half >> 10) & 31u,
                   fraction = half & 0x3FFu;
    if (exponent == 0) {  // zero and subnormal numbers: fraction * 2^-24
        const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    const uint32_t wide = exponent == 31 ? 0x7F800000u : (exponent + 112) << 23;
    return std::bit_cast<float>(sign | wide | fraction << 13);
}

template <class T>
T load(const char* bytes, size_t index) {
    T value;
    std::memcpy(&value, bytes + index * sizeof(T), sizeof(T));
    return value;
}

std::vector<float> convert(const Entry& entry, const std::vector<char>& bytes) {
    const std::string& dtype = entry.dtype;
    std::vector<float> data(static_cast<size_t>(entry.shape.elements()));
    for (size_t i = 0; i < data.size(); ++i) {
        if (dtype == "F32")
            data[i] = load<float>(bytes.data(), i);
        else if (dtype == "F64")
            data[i] = static_cast<float>(load<double>(bytes.data(), i));
        else if (dtype == "F16")
            data[i] = half_to_float(load<uint16_t>(bytes.data(), i));
        else
            data[i] = std::bit_cast<float>(static_cast<uint32_t>(load<uint16_t>(bytes.data(), i)) << 16);  // BF16
    }
    return data;
}

Json entry_json(const char* dtype, const Shape& shape, uint64_t begin, uint64_t end) {
    Json dims = Json::array();
    for (int axis = 0; axis < shape.rank; ++axis) dims.push_back(shape[axis]);
    return Json{{"dtype", dtype}, {"shape", dims}, {"data_offsets", {begin, end}}};
}

std::string header_text(const std::filesystem::path& path, const TensorFile& file) {
    Json header = Json::object();
    std::set<std::string> names{"__metadata__"};
    if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
    const auto add = [&](const std::string& name, Json entry) {
        if (name == "__metadata__" || header.contains(name))
            throw Error("two tensors of this name", path.string() + ": " + name);
        header[name] = std::move(entry);
    };
    uint64_t at = 0;
    for (const NamedInteger& one : file.integers) {
        add(one.name, entry_json("I64", {}, at, at + 8));
        at += 8;
    }
    for (const NamedTensor& one : file.tensors) {
        if (one.shape.elements() != static_cast<int64_t>(one.data.size())) {
            throw Error(fmt::format("{} numbers for shape {}", one.data.size(), to_string(one.shape)),
                        path.string() + ": " + one.name);
        }
        add(one.name, entry_json("F32", one.shape, at, at + 4 * one.data.size()));
        at += 4 * one.data.size();
    }
    std::string text = json_text(header);
    text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data is aligned to 8 bytes
    return text;
}

}  // namespace

TensorFile read_safetensors(const std::filesystem::path& path) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(path, ignored))
        throw Error("no such file", path.string(), "name a .safetensors file");
    const uint64_t whole_bytes = file_bytes(path);
    std::ifstream stream(path, std::ios::binary);
    uint64_t header_bytes = 0;
    if (!stream) throw Error("cannot be opened", path.string(), "check its permissions");
    if (!stream.read(reinterpret_cast<char*>(&header_bytes), sizeof header_bytes)) fail(path, "shorter than 8 bytes");
    if (header_bytes > max_header_bytes || header_bytes > whole_bytes - sizeof header_bytes) {
        refuse_other_formats(path, header_bytes);
        fail(path, fmt::format("its header claims {} bytes of a file of {}", header_bytes, whole_bytes));
    }
    std::string text(header_bytes, '\0');
    if (!stream.read(text.data(), static_cast<std::streamsize>(text.size()))) fail(path, "the header cannot be read");
    const Header header = parse(path, text, whole_bytes - sizeof header_bytes - header_bytes);

    TensorFile file;
    file.metadata = header.metadata;
    for (const Entry& entry : header.entries) {  // in the order of their bytes, so the file is read from front to back
        std::vector<char> bytes(entry.end - entry.begin);
        if (!stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size())))
            fail(path, "the data cannot be read", entry.name);
        if (entry.dtype == "I64") {
            if (bytes.size() != 8) fail(path, "whole numbers are read as a single one only", entry.name);
            file.integers.push_back({entry.name, load<int64_t>(bytes.data(), 0)});
        } else {
            file.tensors.push_back({entry.name, entry.shape, convert(entry, bytes)});
        }
    }
    return file;
}

void write_safetensors(const std::filesystem::path& path, const TensorFile& file) {
    const std::string header = header_text(path, file);
    const auto header_bytes = static_cast<uint64_t>(header.size());
    DurableFile out(path);
    out.write(&header_bytes, sizeof header_bytes);
    out.write(header.data(), header.size());
    for (const NamedInteger& one : file.integers) out.write(&one.value, sizeof one.value);
    for (const NamedTensor& one : file.tensors) out.write(one.data.data(), one.data.size() * sizeof(float));
    out.commit();
}

}  // namespace xbench
