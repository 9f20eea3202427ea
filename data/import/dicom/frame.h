// One frame of a DICOM file as it is stored, with everything that says how it is to be shown; and the way from there to
// an Image (PS3.3 C.7.6.3, C.11.1, C.11.2): stored bits, padding, modality LUT or slope, VOI LUT or window, polarity last.
// Knows no library: who reads the file fills this in.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/import/decoders.h"

namespace xbench::dicom {

// A modality, VOI or palette table. Inputs below `first` take the first entry, those above the last.
struct LookupTable {
    int64_t first = 0;
    int bits = 16;  // of an entry, as declared
    std::vector<uint16_t> entries;
};
// From the descriptor's three words: entries (0 means 65536) and bits are unsigned whatever their VR, the first input is
// signed where the stored values are. `data` are 16-bit words; 8-bit entries may be packed two a word. Throws Error.
LookupTable make_table(const std::vector<uint16_t>& descriptor, bool signed_input, std::vector<uint16_t> data);

struct Window {
    enum class Function { linear, linear_exact, sigmoid };
    double center = 0, width = 0;
    Function function = Function::linear;
};
// "LINEAR", "LINEAR_EXACT", "SIGMOID", or nothing at all. Throws Error for another word.
Window::Function window_function(const std::string& name);
// Whether a window of this width means anything: LINEAR needs 1, the others more than 0.
bool is_usable(const Window& window);
// Where x comes to lie between low and high.
double apply(const Window& window, double x, double low, double high);

struct Frame {
    int64_t rows = 0, columns = 0;
    int samples = 1;  // a pixel
    int bits_allocated = 16, bits_stored = 16, high_bit = 15;
    bool is_signed = false;
    bool by_plane = false;       // color: RRR GGG BBB in place of RGB RGB
    bool half_chroma = false;    // color as Y Y Cb Cr for two pixels
    std::string photometric;     // of `bytes`, MONOCHROME1 and so on
    std::vector<uint8_t> bytes;  // words of bits_allocated in the machine's order; of 1 bit: packed, lowest bit first
    std::optional<int64_t> padding, padding_limit;  // stored values
    double slope = 1, intercept = 0;
    std::optional<LookupTable> modality, voi;
    std::optional<Window> window;
    bool inverse_shape = false;  // PresentationLUTShape is INVERSE
    std::array<LookupTable, 3> palette;
};

// Throws Error where the attributes contradict each other: before the pixels are read.
void check_header(const Frame& frame);
// 8-bit samples for up to 8 stored bits, else 16-bit samples; darkest 0, brightest 255 or 65535. `Image::rendering` says
// which window, function and polarity made it. Throws Error.
Image render(const Frame& frame, int channels);

}  // namespace xbench::dicom
