// From stored values to shown ones. Gray images of up to 16 bits go through one table over all stored values; each entry is
// computed in double precision and rounded once, after the polarity.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/core.h>

#include "core/error.h"
#include "data/import/dicom/frame.h"

namespace xbench::dicom {
namespace {

constexpr int table_bits = 16;
constexpr double low_percent = 0.5, high_percent = 99.5;

const char* name_of(Window::Function function) {
    if (function == Window::Function::sigmoid) return "SIGMOID";
    return function == Window::Function::linear ? "LINEAR" : "LINEAR_EXACT";
}

// The word at place i, which is as wide as the image allocates.
uint32_t word_at(const Frame& frame, size_t i) {
    switch (frame.bits_allocated) {
        case 1: return frame.bytes[i / 8] >> (i % 8) & 1u;
        case 8: return frame.bytes[i];
        case 16: {
            uint16_t word;
            std::memcpy(&word, frame.bytes.data() + 2 * i, sizeof word);
            return word;
        }
        default: {
            uint32_t word;
            std::memcpy(&word, frame.bytes.data() + 4 * i, sizeof word);
            return word;
        }
    }
}

// The bits that count, without what else lies in the word: overlays, or anything.
uint32_t stored_bits(const Frame& frame, uint32_t word) {
    const uint32_t shifted = word >> (frame.high_bit - frame.bits_stored + 1);
    return frame.bits_stored == 32 ? shifted : shifted & ((uint32_t{1} << frame.bits_stored) - 1);
}
int64_t stored_value(const Frame& frame, uint32_t bits) {
    const bool negative = frame.is_signed && (bits >> (frame.bits_stored - 1) & 1) != 0;
    return static_cast<int64_t>(bits) - (negative ? int64_t{1} << frame.bits_stored : 0);
}

bool is_padding(const Frame& frame, int64_t value) {
    if (!frame.padding) return false;
    const int64_t limit = frame.padding_limit.value_or(*frame.padding);
    return value >= std::min(*frame.padding, limit) && value <= std::max(*frame.padding, limit);
}

double look_up(const LookupTable& table, double x) {
    const auto last = static_cast<int64_t>(table.entries.size()) - 1;
    const int64_t at = std::clamp<int64_t>(std::llround(x) - table.first, 0, last);
    return table.entries[static_cast<size_t>(at)];
}

double modality_value(const Frame& frame, int64_t stored) {
    if (frame.modality) return look_up(*frame.modality, static_cast<double>(stored));
    return frame.slope * static_cast<double>(stored) + frame.intercept;
}

// Agfa's plates declare the size of the storage for tables that use fewer bits.
double brightest_of(const LookupTable& table) {
    const double declared = (1 << table.bits) - 1;
    const double largest = *std::max_element(table.entries.begin(), table.entries.end());
    return largest > 0 && 2 * largest < declared ? largest : declared;
}

// What the pixels become, in [0, 1], before the polarity.
class Transfer {
public:
    Transfer(const Frame& frame, std::string& note) : frame_(frame) {
        if (frame.voi) {
            most_ = brightest_of(*frame.voi);
            note = fmt::format("VOI LUT of {} entries, {} bits", frame.voi->entries.size(), frame.voi->bits);
        } else if (frame.window && is_usable(*frame.window)) {
            note =
                fmt::format("{} {:.6g}/{:.6g}", name_of(frame.window->function), frame.window->center, frame.window->width);
        } else {
            find_range();
            note = fmt::format("percentiles {}..{} = {:.6g}..{:.6g}", low_percent, high_percent, low_, high_);
            if (frame.window) note += fmt::format(", as a window of width {:.6g} means nothing", frame.window->width);
        }
    }
    double operator()(int64_t stored) const {
        const double x = modality_value(frame_, stored);
        if (frame_.voi) return std::min(1.0, look_up(*frame_.voi, x) / most_);
        if (frame_.window && is_usable(*frame_.window)) return apply(*frame_.window, x, 0, 1);
        return high_ > low_ ? std::clamp((x - low_) / (high_ - low_), 0.0, 1.0) : 0.0;
    }

private:
    // By linear interpolation between the sorted values, padding left out.
    void find_range() {
        std::vector<double> values;
        const auto count = static_cast<size_t>(frame_.rows * frame_.columns);
        values.reserve(count);
        for (size_t i = 0; i < count; ++i) {
            const int64_t stored = stored_value(frame_, stored_bits(frame_, word_at(frame_, i)));
            if (!is_padding(frame_, stored)) values.push_back(modality_value(frame_, stored));
        }
        if (values.empty()) throw Error("every pixel is padding: there is no image");
        low_ = percentile(values, low_percent);
        high_ = percentile(values, high_percent);
        if (high_ > low_) return;
        const auto [least, most] = std::minmax_element(values.begin(), values.end());
        low_ = *least, high_ = *most;
    }
    static double percentile(std::vector<double>& values, double percent) {
        const double place = percent / 100 * static_cast<double>(values.size() - 1);
        const auto below = static_cast<std::ptrdiff_t>(place);
        std::nth_element(values.begin(), values.begin() + below, values.end());
        const double first = values[static_cast<size_t>(below)];
        if (below + 1 == static_cast<std::ptrdiff_t>(values.size())) return first;
        const double next = *std::min_element(values.begin() + below + 1, values.end());
        return first + (place - static_cast<double>(below)) * (next - first);
    }

    const Frame& frame_;
    double most_ = 1, low_ = 0, high_ = 0;
};

// Both depths of an Image alike.
void put(Image& image, size_t at, uint32_t value) {
    if (image.bytes_per_sample == 1) {
        image.samples[at] = static_cast<uint8_t>(value);
        return;
    }
    const auto wide = static_cast<uint16_t>(value);
    std::memcpy(image.samples.data() + 2 * at, &wide, sizeof wide);
}

void render_gray(const Frame& frame, Image& image) {
    const bool inverted = frame.photometric == "MONOCHROME1" || frame.inverse_shape;
    const Transfer transfer(frame, image.rendering);
    image.rendering += fmt::format("; {}; {} bits stored", inverted ? "inverted" : "as stored", frame.bits_stored);
    const double full = image.bytes_per_sample == 2 ? 65535 : 255;
    const auto shade = [&](uint32_t bits) -> uint32_t {
        const int64_t stored = stored_value(frame, bits);
        if (is_padding(frame, stored)) return 0;
        const double y = full * transfer(stored);
        return static_cast<uint32_t>(std::floor((inverted ? full - y : y) + 0.5));
    };
    std::vector<uint32_t> table;
    if (frame.bits_stored <= table_bits) {
        for (uint32_t bits = 0; bits < uint32_t{1} << frame.bits_stored; ++bits) table.push_back(shade(bits));
    }
    const auto pixels = static_cast<size_t>(frame.rows * frame.columns);
    const auto channels = static_cast<size_t>(image.channels);
    for (size_t i = 0; i < pixels; ++i) {
        const uint32_t bits = stored_bits(frame, word_at(frame, i)), value = table.empty() ? shade(bits) : table[bits];
        for (size_t c = 0; c < channels; ++c) put(image, i * channels + c, value);
    }
}

using Rgb = std::array<double, 3>;  // each in [0, 1]

// BT.601 of the full range, as JPEG has it.
Rgb from_ycc(const Rgb& ycc) {
    constexpr double middle = 128.0 / 255;
    const double y = ycc[0], b = ycc[1] - middle, r = ycc[2] - middle;
    Rgb rgb{y + 1.402 * r, y - 0.344136286 * b - 0.714136286 * r, y + 1.772 * b};
    for (double& value : rgb) value = std::clamp(value, 0.0, 1.0);
    return rgb;
}

// Where sample s of pixel i lies.
size_t place_of(const Frame& frame, size_t i, size_t s) {
    if (frame.half_chroma) return 4 * (i / 2) + (s == 0 ? i % 2 : 1 + s);
    return frame.by_plane ? s * static_cast<size_t>(frame.rows * frame.columns) + i : 3 * i + s;
}

Rgb color_at(const Frame& frame, size_t i, double full) {
    Rgb color;
    if (frame.samples == 1) {
        const auto index = static_cast<double>(stored_value(frame, stored_bits(frame, word_at(frame, i))));
        for (size_t s = 0; s < 3; ++s) color[s] = look_up(frame.palette[s], index) / ((1 << frame.palette[s].bits) - 1);
        return color;
    }
    for (size_t s = 0; s < 3; ++s) color[s] = stored_bits(frame, word_at(frame, place_of(frame, i, s))) / full;
    return frame.photometric.starts_with("YBR_FULL") ? from_ycc(color) : color;
}

void render_color(const Frame& frame, Image& image) {
    const double most = image.bytes_per_sample == 2 ? 65535 : 255;
    const double full = std::ldexp(1.0, frame.bits_stored) - 1;
    image.rendering = fmt::format("{}; {} bits stored", frame.photometric, frame.bits_stored);
    const auto pixels = static_cast<size_t>(frame.rows * frame.columns);
    for (size_t i = 0; i < pixels; ++i) {
        std::array<uint32_t, 3> rgb;
        const Rgb color = color_at(frame, i, full);
        for (size_t s = 0; s < 3; ++s) rgb[s] = static_cast<uint32_t>(color[s] * most + 0.5);
        if (image.channels == 1)
            put(image, i, luma(rgb[0], rgb[1], rgb[2]));
        else
            for (size_t s = 0; s < 3; ++s) put(image, 3 * i + s, rgb[s]);
    }
}

bool is_gray(const Frame& frame) { return frame.photometric == "MONOCHROME1" || frame.photometric == "MONOCHROME2"; }
bool is_color(const Frame& frame) { return frame.photometric == "RGB" || frame.photometric.starts_with("YBR_"); }
bool is_palette(const Frame& frame) { return frame.photometric == "PALETTE COLOR"; }

// Bits of a sample in the image, of which more than 8 make it 16 bits deep.
int depth_of(const Frame& frame) {
    if (!is_palette(frame)) return frame.bits_stored;
    return std::max({frame.palette[0].bits, frame.palette[1].bits, frame.palette[2].bits});
}

}  // namespace

LookupTable make_table(const std::vector<uint16_t>& descriptor, bool signed_input, std::vector<uint16_t> data) {
    if (descriptor.size() != 3) throw Error(fmt::format("a table's descriptor has {} values, not 3", descriptor.size()));
    const size_t entries = descriptor[0] == 0 ? 65536 : descriptor[0];
    LookupTable table{signed_input ? static_cast<int16_t>(descriptor[1]) : int64_t{descriptor[1]}, descriptor[2], {}};
    if (table.bits < 1 || table.bits > 16) throw Error(fmt::format("a table of {} bits an entry", table.bits));
    if (table.bits <= 8 && data.size() == (entries + 1) / 2 && entries > 1) {
        for (size_t i = 0; i < entries; ++i) table.entries.push_back(data[i / 2] >> (i % 2 * 8) & 0xFF);
    } else {
        if (data.size() < entries) throw Error(fmt::format("a table of {} entries holds {}", entries, data.size()));
        data.resize(entries);
        table.entries = std::move(data);
    }
    return table;
}

Window::Function window_function(const std::string& name) {
    if (name.empty() || name == "LINEAR") return Window::Function::linear;
    if (name == "LINEAR_EXACT") return Window::Function::linear_exact;
    if (name == "SIGMOID") return Window::Function::sigmoid;
    throw Error(fmt::format("the VOI LUT function '{}' is none of LINEAR, LINEAR_EXACT and SIGMOID", name));
}

bool is_usable(const Window& window) {
    if (!std::isfinite(window.center) || !std::isfinite(window.width)) return false;
    return window.function == Window::Function::linear ? window.width >= 1 : window.width > 0;
}

double apply(const Window& window, double x, double low, double high) {
    const double c = window.center, w = window.width;
    if (window.function == Window::Function::sigmoid) return (high - low) / (1 + std::exp(-4 * (x - c) / w)) + low;
    const bool exact = window.function == Window::Function::linear_exact;
    const double middle = exact ? c : c - 0.5, width = exact ? w : w - 1;
    if (x <= middle - width / 2) return low;
    if (x > middle + width / 2) return high;
    return ((x - middle) / width + 0.5) * (high - low) + low;
}

void check_header(const Frame& frame) {
    const auto fail = [](const std::string& what) { throw Error(what); };
    check_image_size(frame.columns, frame.rows, std::numeric_limits<size_t>::max() / 2, 1);
    const int allocated = frame.bits_allocated;
    if (allocated != 1 && allocated != 8 && allocated != 16 && allocated != 32)
        fail(fmt::format("{} bits allocated; 1, 8, 16 and 32 can be read", allocated));
    if (frame.bits_stored < 1 || frame.bits_stored > allocated || frame.high_bit >= allocated ||
        frame.high_bit + 1 < frame.bits_stored)
        fail(fmt::format("{} bits stored below bit {} of {} allocated", frame.bits_stored, frame.high_bit, allocated));
    if (!is_gray(frame) && !is_palette(frame) && !is_color(frame))
        fail(fmt::format("the photometric interpretation '{}' is not supported", frame.photometric));
    if (frame.samples != (is_color(frame) ? 3 : 1))
        fail(fmt::format("{} samples a pixel of {}", frame.samples, frame.photometric));
    if (is_color(frame) && allocated == 1) fail("color of 1 bit");
    if (frame.photometric == "YBR_FULL_422" && frame.columns % 2 != 0) fail("YBR_FULL_422 of an odd width");
}

namespace {

void check_values(const Frame& frame) {
    if (!std::isfinite(frame.slope) || !std::isfinite(frame.intercept) || frame.slope == 0)
        throw Error(fmt::format("a rescale slope of {} and intercept of {}", frame.slope, frame.intercept));
    const auto samples = frame.rows * frame.columns * (frame.half_chroma ? 2 : frame.samples);
    const auto wanted = static_cast<size_t>(samples * frame.bits_allocated + 7) / 8;
    if (frame.bytes.size() < wanted)
        throw Error(fmt::format("{}x{} pixels need {} bytes; the file holds {}", frame.columns, frame.rows, wanted,
                                frame.bytes.size()));
}

}  // namespace

Image render(const Frame& frame, int channels) {
    check_header(frame);
    check_values(frame);
    Image image;
    image.width = frame.columns;
    image.height = frame.rows;
    image.channels = channels;
    image.bytes_per_sample = depth_of(frame) > 8 ? 2 : 1;
    image.samples.resize(static_cast<size_t>(frame.rows * frame.columns * channels * image.bytes_per_sample));
    if (is_gray(frame))
        render_gray(frame, image);
    else
        render_color(frame, image);
    return image;
}

}  // namespace xbench::dicom
