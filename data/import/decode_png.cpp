// PNG through libpng: every color type, 1 to 16 bits, interlaced or not; and back, for pictures of our own.
//
// libpng reports errors by longjmp. The functions that call setjmp therefore own nothing with a destructor: memory lives
// in Decoder, outside of them, and its text becomes an Error only after they have returned.
#include <csetjmp>
#include <cstring>

#include <fmt/core.h>
#include <png.h>

#include "core/error.h"
#include "data/import/decoders.h"

namespace xbench {
namespace {

// Deflate reaches 1032 to 1, and a byte holds 8 pixels of one bit.
constexpr int64_t most_pixels_per_byte = 8 * 1040;

struct Decoder {
    explicit Decoder(std::span<const uint8_t> file) : bytes(file) {
        png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
        if (png != nullptr) info = png_create_info_struct(png);
        if (info == nullptr) throw Error("libpng cannot start");
        png_set_read_fn(png, this, on_read);
    }
    ~Decoder() { png_destroy_read_struct(&png, &info, nullptr); }
    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;

    [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
        auto* self = static_cast<Decoder*>(png_get_error_ptr(png));
        std::strncpy(self->message, message, sizeof self->message - 1);
        png_longjmp(png, 1);
    }
    static void on_warning(png_structp, png_const_charp) {}  // about text and color chunks, which are not used
    static void on_read(png_structp png, png_bytep target, size_t count) {
        auto* self = static_cast<Decoder*>(png_get_io_ptr(png));
        if (count > self->bytes.size() - self->offset) png_error(png, "the file ends too early");
        std::memcpy(target, self->bytes.data() + self->offset, count);
        self->offset += count;
    }

    std::span<const uint8_t> bytes;
    size_t offset = 0;
    png_structp png = nullptr;
    png_infop info = nullptr;
    char message[128] = {};
};

bool read_header(Decoder& decoder) {
    if (setjmp(png_jmpbuf(decoder.png))) return false;
    // Chunks that only describe are skipped unread: they can be large when unpacked.
    static constexpr char described[] = "iCCP\0zTXt\0iTXt\0tEXt\0sPLT\0eXIf\0hIST";
    png_set_keep_unknown_chunks(decoder.png, PNG_HANDLE_CHUNK_NEVER, reinterpret_cast<png_const_bytep>(described), 7);
    png_set_user_limits(decoder.png, 0x7fffffff, 0x7fffffff);  // check_image_size says it better
    png_read_info(decoder.png, decoder.info);
    return true;
}

// Asks for 8 or 16 bits of gray or RGB without alpha.
bool set_transforms(Decoder& decoder) {
    if (setjmp(png_jmpbuf(decoder.png))) return false;
    const int type = png_get_color_type(decoder.png, decoder.info), bits = png_get_bit_depth(decoder.png, decoder.info);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(decoder.png);
    if (type == PNG_COLOR_TYPE_GRAY && bits < 8) png_set_expand_gray_1_2_4_to_8(decoder.png);
    png_set_strip_alpha(decoder.png);
    const uint16_t one = 1;
    if (bits == 16 && *reinterpret_cast<const uint8_t*>(&one) == 1) png_set_swap(decoder.png);  // little-endian machine
    png_set_interlace_handling(decoder.png);
    png_read_update_info(decoder.png, decoder.info);
    return true;
}

bool read_rows(Decoder& decoder, png_bytep* rows) {
    if (setjmp(png_jmpbuf(decoder.png))) return false;
    png_read_image(decoder.png, rows);
    png_read_end(decoder.png, nullptr);
    return true;
}

template <class T>
void change_channels(const std::vector<uint8_t>& from, size_t pixels, Image& image) {
    const T* in = reinterpret_cast<const T*>(from.data());
    image.samples.resize(pixels * static_cast<size_t>(image.channels) * sizeof(T));
    T* out = reinterpret_cast<T*>(image.samples.data());
    for (size_t i = 0; i < pixels; ++i) {
        if (image.channels == 1)
            out[i] = static_cast<T>(luma(in[3 * i], in[3 * i + 1], in[3 * i + 2]));
        else
            out[3 * i] = out[3 * i + 1] = out[3 * i + 2] = in[i];
    }
}

}  // namespace

Image decode_png(std::span<const uint8_t> bytes, int channels) {
    Decoder decoder(bytes);
    const auto check = [&](bool done) {
        if (!done) throw Error(fmt::format("broken PNG: {}", decoder.message));
    };
    check(read_header(decoder));
    const int64_t width = png_get_image_width(decoder.png, decoder.info),
                  height = png_get_image_height(decoder.png, decoder.info);
    check_image_size(width, height, bytes.size(), most_pixels_per_byte);
    check(set_transforms(decoder));
    const int stored = png_get_channels(decoder.png, decoder.info), bits = png_get_bit_depth(decoder.png, decoder.info);
    const size_t row_bytes = png_get_rowbytes(decoder.png, decoder.info);
    if ((stored != 1 && stored != 3) || (bits != 8 && bits != 16)) throw Error("broken PNG: an impossible color type");

    Image image{width, height, channels, bits / 8, {}};
    image.samples.resize(row_bytes * static_cast<size_t>(height));
    std::vector<png_bytep> rows(static_cast<size_t>(height));
    for (size_t y = 0; y < rows.size(); ++y) rows[y] = image.samples.data() + y * row_bytes;
    check(read_rows(decoder, rows.data()));
    if (stored == channels) return image;
    const std::vector<uint8_t> decoded = std::move(image.samples);
    const size_t pixels = static_cast<size_t>(width * height);
    image.samples = {};
    if (bits == 16)
        change_channels<uint16_t>(decoded, pixels, image);
    else
        change_channels<uint8_t>(decoded, pixels, image);
    return image;
}

std::vector<uint8_t> encode_png(const Image& image) {
    png_image head{};
    head.version = PNG_IMAGE_VERSION;
    head.width = static_cast<png_uint_32>(image.width);
    head.height = static_cast<png_uint_32>(image.height);
    head.format = image.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    png_alloc_size_t bytes = PNG_IMAGE_PNG_SIZE_MAX(head);
    std::vector<uint8_t> file(bytes);
    if (!png_image_write_to_memory(&head, file.data(), &bytes, 0, image.samples.data(), 0, nullptr))
        throw Error(fmt::format("no PNG can be made of it: {}", head.message));
    file.resize(bytes);
    return file;
}

}  // namespace xbench
