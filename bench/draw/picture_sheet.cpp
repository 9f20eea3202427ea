// The letters are 3 x 5 dots, a row of them an octal digit, drawn two pixels a dot.
#include "bench/draw/picture_sheet.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <string_view>

#include "data/import/decoders.h"

namespace xbench {
namespace {

constexpr int64_t dot = 2, gap = 4, letter_width = 4 * dot, caption_height = 7 * dot;
constexpr uint8_t paper = 255, ink = 40;

struct Glyph {
    char letter;
    const char* rows;
};
constexpr Glyph glyphs[] = {{'0', "75557"}, {'1', "26227"}, {'2', "71747"}, {'3', "71717"}, {'4', "55711"}, {'5', "74717"},
                            {'6', "74757"}, {'7', "71111"}, {'8', "75757"}, {'9', "75717"}, {'A', "25755"}, {'B', "65656"},
                            {'C', "34443"}, {'D', "65556"}, {'E', "74647"}, {'F', "74644"}, {'G', "34553"}, {'H', "55755"},
                            {'I', "72227"}, {'J', "11152"}, {'K', "55655"}, {'L', "44447"}, {'M', "57755"}, {'N', "65555"},
                            {'O', "25552"}, {'P', "65644"}, {'Q', "25563"}, {'R', "65655"}, {'S', "34216"}, {'T', "72222"},
                            {'U', "55557"}, {'V', "55552"}, {'W', "55775"}, {'X', "55255"}, {'Y', "55222"}, {'Z', "71247"},
                            {'+', "02720"}, {'-', "00700"}, {'.', "00002"}, {'=', "07070"}, {'%', "51245"}, {'/', "11244"},
                            {'_', "00007"}, {':', "02020"}, {'(', "12221"}, {')', "42224"}};

const char* rows_of(char letter) {
    const int wanted = std::toupper(static_cast<unsigned char>(letter));
    for (const Glyph& glyph : glyphs)
        if (glyph.letter == wanted) return glyph.rows;
    return "00000";
}

// Interleaved samples of the whole sheet.
struct Canvas {
    Image image;
    void set(int64_t x, int64_t y, int channel, uint8_t value) {
        image.samples[static_cast<size_t>((y * image.width + x) * image.channels + channel)] = value;
    }
    void write(int64_t x, int64_t y, std::string_view text) {
        for (const char letter : text) {
            const char* const rows = rows_of(letter);
            for (int64_t row = 0; row < 5 * dot; ++row)
                for (int64_t column = 0; column < 3 * dot; ++column)
                    if (((rows[row / dot] - '0') >> (2 - column / dot) & 1) != 0)
                        for (int c = 0; c < image.channels; ++c) set(x + column, y + row, c, ink);
            x += letter_width;
        }
    }
};

}  // namespace

PictureSheet::PictureSheet(int64_t channels, int64_t height, int64_t width, int columns, int least)
    : channels_(channels),
      height_(height),
      width_(width),
      columns_(columns),
      zoom_(std::max<int64_t>(1, (least + width - 1) / width)) {}

int64_t PictureSheet::cell_width() const { return width_ * zoom_ + gap; }
int64_t PictureSheet::cell_height() const { return height_ * zoom_ + caption_height + gap; }

void PictureSheet::add(std::span<const float> planes, const std::string& caption) {
    Picture picture{std::vector<uint8_t>(planes.size()), caption};
    picture.caption.resize(std::min(caption.size(), static_cast<size_t>(width_ * zoom_ / letter_width)));
    std::transform(planes.begin(), planes.end(), picture.planes.begin(),
                   [](float value) { return static_cast<uint8_t>(std::lround(255 * std::clamp(value, 0.0f, 1.0f))); });
    pictures_.push_back(std::move(picture));
}

void PictureSheet::skip() { pictures_.emplace_back(); }

std::vector<uint8_t> PictureSheet::png() const {
    const auto count = static_cast<int64_t>(pictures_.size());
    Canvas canvas;
    canvas.image.width = columns_ * cell_width();
    canvas.image.height = std::max<int64_t>(1, (count + columns_ - 1) / columns_) * cell_height();
    canvas.image.channels = static_cast<int>(channels_);
    canvas.image.samples.assign(static_cast<size_t>(canvas.image.width * canvas.image.height * channels_), paper);
    for (int64_t i = 0; i < count; ++i) {
        const Picture& picture = pictures_[static_cast<size_t>(i)];
        const int64_t left = i % columns_ * cell_width() + gap / 2, top = i / columns_ * cell_height() + gap / 2;
        for (int64_t at = 0; at < static_cast<int64_t>(picture.planes.size()) * zoom_ * zoom_; ++at) {
            const int64_t x = at % (width_ * zoom_), y = at / (width_ * zoom_) % (height_ * zoom_),
                          c = at / (width_ * zoom_ * height_ * zoom_);
            canvas.set(left + x, top + y, static_cast<int>(c),
                       picture.planes[static_cast<size_t>((c * height_ + y / zoom_) * width_ + x / zoom_)]);
        }
        canvas.write(left, top + height_ * zoom_ + dot, picture.caption);
    }
    return encode_png(canvas.image);
}

}  // namespace xbench
