// Every number is a word of Philox under its own key: nothing is remembered from image to image.
#include "data/load/augment.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <utility>

#include "core/philox.h"
#include "core/rng.h"

namespace xbench {
namespace {

constexpr double pi = 3.14159265358979323846;

enum class Operation : uint32_t { flip, flip_vertical, rotation, shift, scale, brightness, contrast, gamma, noise };

// Behind all RandomUse values.
uint64_t stream_of(Operation operation, uint32_t epoch) {
    return random_stream(static_cast<uint32_t>(RandomUse::augment) + 0x100 * (1 + static_cast<uint32_t>(operation)), epoch);
}

std::array<double, 2> two_uniforms(uint64_t seed, const Augmentation& what, Operation operation) {
    const Philox4 block = philox4x32(seed, uint64_t{what.image} << 32, stream_of(operation, what.epoch));
    return {static_cast<double>(uniform01(block.v[0])), static_cast<double>(uniform01(block.v[1]))};
}

double from_both_sides(double uniform, double most) { return most * (2 * uniform - 1); }

// "left" for "Right" and so on; "" where the word is neither.
std::string other_side(const std::string& word) {
    static constexpr const char* sides[][2] = {{"left", "right"}, {"Left", "Right"}, {"LEFT", "RIGHT"}};
    for (const auto& [left, right] : sides) {
        if (word == left) return right;
        if (word == right) return left;
    }
    return {};
}

std::string mirrored_name(const std::string& name) {
    std::string mirrored, word;
    const auto end_word = [&] {
        const std::string other = other_side(word);
        mirrored += other.empty() ? word : other;
        word.clear();
    };
    for (const char letter : name) {
        if (std::isalpha(static_cast<unsigned char>(letter)) != 0) {
            word += letter;
            continue;
        }
        end_word();
        mirrored += letter;
    }
    end_word();
    return mirrored;
}

}  // namespace

std::vector<int32_t> sided_partners(const std::vector<std::string>& class_names) {
    std::vector<int32_t> partners;
    bool any = false;
    for (size_t k = 0; k < class_names.size(); ++k) {
        const auto found = std::find(class_names.begin(), class_names.end(), mirrored_name(class_names[k]));
        const size_t partner = found == class_names.end() ? k : static_cast<size_t>(found - class_names.begin());
        any = any || partner != k;
        partners.push_back(static_cast<int32_t>(partner));
    }
    if (!any) partners.clear();
    return partners;
}

Augmenter::Augmenter(const AugmentConfig& config, const DatasetInfo& info, uint64_t seed)
    : config_(config),
      shape_{info.channels, info.height, info.width},
      seed_(seed),
      partners_(sided_partners(info.class_names)) {}

Augmentation Augmenter::draw(int64_t epoch, int64_t image) const {
    Augmentation what;
    what.image = static_cast<uint32_t>(image);
    what.epoch = static_cast<uint32_t>(epoch);
    const auto uniform = [&](Operation operation) { return two_uniforms(seed_, what, operation)[0]; };
    const auto factor = [&](Operation operation, double spread) {
        return spread > 0 ? 1 + from_both_sides(uniform(operation), spread) : 1;
    };
    what.flip = config_.flip > 0 && uniform(Operation::flip) < config_.flip;
    what.flip_vertical = config_.flip_vertical > 0 && uniform(Operation::flip_vertical) < config_.flip_vertical;
    if (config_.rotation > 0) what.degrees = from_both_sides(uniform(Operation::rotation), config_.rotation);
    if (config_.shift > 0) {
        const auto [across, along] = two_uniforms(seed_, what, Operation::shift);
        what.right = std::nearbyint(from_both_sides(across, config_.shift * static_cast<double>(shape_.width)));
        what.down = std::nearbyint(from_both_sides(along, config_.shift * static_cast<double>(shape_.height)));
    }
    what.scale = factor(Operation::scale, config_.scale);
    what.brightness = static_cast<float>(factor(Operation::brightness, config_.brightness));
    what.contrast = static_cast<float>(factor(Operation::contrast, config_.contrast));
    what.gamma = static_cast<float>(factor(Operation::gamma, config_.gamma));
    what.noise = static_cast<float>(config_.noise);
    return what;
}

void Augmenter::apply(const Augmentation& what, float* image, float* scratch) const {
    if (what.flip) mirror_columns(image, shape_);
    if (what.flip_vertical) mirror_rows(image, shape_);
    if (what.warps()) {
        std::copy_n(image, shape_.values(), scratch);
        warp(scratch, image, shape_, inverse_affine(shape_, what.degrees, what.right, what.down, what.scale),
             config_.interpolation == "bilinear");
    }
    if (what.brightness != 1) adjust_brightness(image, shape_, what.brightness);
    if (what.contrast != 1) adjust_contrast(image, shape_, what.contrast);
    if (what.gamma != 1) adjust_gamma(image, shape_, what.gamma);
    if (what.noise > 0) add_noise(image, shape_, what.noise, seed_, what.image, stream_of(Operation::noise, what.epoch));
}

// The upright hull of a turned box has the same centre and as far as its corners reach to each side.
void Augmenter::apply(const Augmentation& what, std::vector<Box>& boxes) const {
    const auto width = static_cast<double>(shape_.width), height = static_cast<double>(shape_.height);
    const double radians = what.degrees * pi / 180, cosine = what.scale * std::cos(radians),
                 sine = what.scale * std::sin(radians);
    std::vector<Box> kept;
    for (const Box& box : boxes) {
        const double half_width = static_cast<double>(box[3]) / 2, half_height = static_cast<double>(box[4]) / 2;
        double x = static_cast<double>(box[1]) + half_width - width / 2,
               y = static_cast<double>(box[2]) + half_height - height / 2;
        if (what.flip) x = -x;
        if (what.flip_vertical) y = -y;
        const double middle_x = cosine * x - sine * y + width / 2 + what.right,
                     middle_y = sine * x + cosine * y + height / 2 + what.down;
        const double reach_x = std::fabs(cosine) * half_width + std::fabs(sine) * half_height,
                     reach_y = std::fabs(sine) * half_width + std::fabs(cosine) * half_height;
        const double left = std::clamp(middle_x - reach_x, 0.0, width), right = std::clamp(middle_x + reach_x, 0.0, width),
                     top = std::clamp(middle_y - reach_y, 0.0, height), bottom = std::clamp(middle_y + reach_y, 0.0, height);
        const double visible = (right - left) * (bottom - top);
        if (!(visible > 0) || visible < config_.box_share * 4 * reach_x * reach_y) continue;
        kept.push_back({static_cast<float>(label(what, static_cast<int32_t>(box[0]))), static_cast<float>(left),
                        static_cast<float>(top), static_cast<float>(right - left), static_cast<float>(bottom - top)});
    }
    boxes = std::move(kept);
}

int32_t Augmenter::label(const Augmentation& what, int32_t label) const {
    const bool sided = what.flip && label >= 0 && static_cast<size_t>(label) < partners_.size();
    return sided ? partners_[static_cast<size_t>(label)] : label;
}

}  // namespace xbench
