// DICOM files written byte by byte: explicit little endian, with preamble and meta header.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace xbench {

class DicomFile {
public:
    using Bytes = std::vector<uint8_t>;

    static Bytes words(const std::vector<int>& values) {
        Bytes bytes;
        for (const int value : values) {
            bytes.push_back(static_cast<uint8_t>(value & 0xFF));
            bytes.push_back(static_cast<uint8_t>(value >> 8 & 0xFF));
        }
        return bytes;
    }
    // An element; text is padded to an even length with a blank.
    static Bytes element(uint32_t tag, const std::string& vr, Bytes value) {
        if (value.size() % 2 != 0) value.push_back(vr == "UI" || vr == "OB" ? 0 : ' ');
        Bytes bytes = words({static_cast<int>(tag >> 16), static_cast<int>(tag & 0xFFFF)});
        bytes.insert(bytes.end(), vr.begin(), vr.end());
        const auto length = static_cast<int>(value.size());
        const bool is_long = vr == "OB" || vr == "OW" || vr == "SQ" || vr == "UN";
        const Bytes size = is_long ? words({0, length & 0xFFFF, length >> 16}) : words({length});
        bytes.insert(bytes.end(), size.begin(), size.end());
        bytes.insert(bytes.end(), value.begin(), value.end());
        return bytes;
    }
    static Bytes text(const std::string& value) { return {value.begin(), value.end()}; }

    // In the order of their tags.
    DicomFile& add(uint32_t tag, const std::string& vr, const Bytes& value) {
        const Bytes bytes = element(tag, vr, value);
        dataset_.insert(dataset_.end(), bytes.begin(), bytes.end());
        return *this;
    }
    DicomFile& add(uint32_t tag, const std::string& vr, const std::string& value) { return add(tag, vr, text(value)); }
    DicomFile& add(uint32_t tag, int value) { return add(tag, "US", words({value})); }
    // A sequence of one item that holds `elements`.
    DicomFile& add_item(uint32_t tag, const Bytes& elements) {
        const auto length = static_cast<int>(elements.size());
        Bytes item = words({0xFFFE, 0xE000, length & 0xFFFF, length >> 16});
        item.insert(item.end(), elements.begin(), elements.end());
        return add(tag, "SQ", item);
    }
    Bytes dataset() const { return dataset_; }
    Bytes bytes(const std::string& syntax = "1.2.840.10008.1.2.1") const {
        Bytes meta = element(0x00020001, "OB", {0, 1});
        const Bytes uid = syntax.empty() ? Bytes{} : element(0x00020010, "UI", text(syntax));
        meta.insert(meta.end(), uid.begin(), uid.end());
        Bytes file(128, 0);
        for (const char letter : std::string("DICM")) file.push_back(static_cast<uint8_t>(letter));
        const auto length = static_cast<int>(meta.size());
        const Bytes head = element(0x00020000, "UL", words({length, 0}));
        for (const Bytes* part : {&head, static_cast<const Bytes*>(&meta), &dataset_})
            file.insert(file.end(), part->begin(), part->end());
        return file;
    }

private:
    Bytes dataset_;
};

// What comes before the pixels of a gray image of 16-bit words.
struct GrayDicom {
    int rows = 1, columns = 1, bits = 16, is_signed = 0, frames = 1;
    std::string photometric = "MONOCHROME2", patient = "P1";
    std::string intercept = {}, slope = {}, center = {}, width = {}, function = {}, shape = {};
    int padding = -1;

    std::vector<uint8_t> bytes(const std::vector<int>& pixels, const std::string& syntax = "1.2.840.10008.1.2.1") const {
        return file(pixels).bytes(syntax);
    }
    DicomFile file(const std::vector<int>& pixels) const {
        DicomFile file;
        file.add(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.1").add(0x00100010, "PN", "SECRET^NAME");
        file.add(0x00100020, "LO", patient).add(0x00280002, 1).add(0x00280004, "CS", photometric);
        if (frames > 1) file.add(0x00280008, "IS", std::to_string(frames));
        file.add(0x00280010, rows).add(0x00280011, columns).add(0x00280100, 16).add(0x00280101, bits);
        file.add(0x00280102, bits - 1).add(0x00280103, is_signed);
        if (padding >= 0) file.add(0x00280120, padding);
        if (!center.empty()) file.add(0x00281050, "DS", center).add(0x00281051, "DS", width);
        if (!intercept.empty()) file.add(0x00281052, "DS", intercept).add(0x00281053, "DS", slope);
        if (!function.empty()) file.add(0x00281056, "CS", function);
        if (!shape.empty()) file.add(0x20500020, "CS", shape);
        return file.add(0x7FE00010, "OW", DicomFile::words(pixels));
    }
};

}  // namespace xbench
