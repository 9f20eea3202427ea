// Draws a procedural chest X-ray.
//
// Coordinates: the body frame has x to the image's right and y downwards, both about -1..1, so that nothing depends on
// the image's size. `side` is -1 for the lung at the image's left (the patient's right) and +1 for the other. Densities
// add up as absorption does; exposure then maps them to 0..255. Soft edges are cubic steps and blobs are (1-r^2)^2:
// cheap, and the same on every machine (no exp or pow of a mathematics library but in the exposure).
//
// What makes the task mean something: exposure, inflation, pose, haze, breast shadows, ribs and devices change brightness
// in both classes alike, so that the mean of a region gives little away; an opacity is patchy, one-sided and textured.
#include "data/synthetic/phantom.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/rng.h"
#include "data/synthetic/canvas.h"
#include "data/synthetic/opacity.h"

namespace xbench {
namespace drawing {
namespace {

// Smooth noise from a small lattice of random values in -1..1, spread over the body frame.
template <int Cells>
class ValueNoise {
public:
    explicit ValueNoise(Random& random) {
        for (float& value : lattice_) value = random.uniform(-1, 1);
    }
    float at(Point point) const {
        const float x = std::clamp((point.x + 1.2f) / 2.4f, 0.0f, 0.9999f) * (Cells - 1);
        const float y = std::clamp((point.y + 1.2f) / 2.4f, 0.0f, 0.9999f) * (Cells - 1);
        const int column = static_cast<int>(x), row = static_cast<int>(y);
        const float fx = step(0, 1, x - static_cast<float>(column)), fy = step(0, 1, y - static_cast<float>(row));
        const float* p = lattice_.data() + row * Cells + column;
        const float above = p[0] + (p[1] - p[0]) * fx, below = p[Cells] + (p[Cells + 1] - p[Cells]) * fx;
        return above + (below - above) * fy;
    }

private:
    std::array<float, size_t{Cells} * Cells> lattice_;
};

Anatomy draw_anatomy(Random& random) {
    const auto u = [&](float low, float high) { return random.uniform(low, high); };
    Anatomy a{};
    const float angle = u(-0.10f, 0.10f);
    a.scale = u(0.90f, 1.14f);
    a.cosine = std::cos(angle) * a.scale;
    a.sine = std::sin(angle) * a.scale;
    a.shift_x = u(-0.10f, 0.10f);
    a.shift_y = u(-0.10f, 0.12f);
    a.body_width = u(0.84f, 1.0f);
    a.neck_width = u(0.22f, 0.34f);
    a.soft_tissue = u(0.50f, 0.62f);
    a.spine = u(0.10f, 0.20f);
    a.spine_bend = u(-0.05f, 0.05f);
    a.trachea = u(0.03f, 0.10f);
    a.lung_top = u(-0.76f, -0.66f);
    const float width = u(0.60f, 0.70f), base = u(0.36f, 0.52f);
    for (int side = 0; side < 2; ++side) {
        a.lung_width[side] = width + u(-0.03f, 0.03f);
        a.lung_base[side] = base + u(-0.04f, 0.04f) + (side == 0 ? -0.03f : 0.03f);  // the liver lifts the right dome
    }
    a.dome = u(0.9f, 1.9f);
    a.inner = u(0.10f, 0.15f);
    const float air_depth = u(0.28f, 0.46f);
    for (float& side : a.air_depth) side = air_depth * u(0.75f, 1.1f);  // a turned patient, or an expiration
    a.heart_x = u(0.08f, 0.17f);
    a.heart_y = base - u(0.14f, 0.24f);
    a.heart_rx = u(0.24f, 0.36f);
    a.heart_ry = u(0.20f, 0.27f);
    a.heart_tilt = u(0.2f, 0.6f);
    a.heart_density = u(0.75f, 0.95f);
    a.rib_spacing = u(0.155f, 0.195f);
    a.rib_phase = u(0, 1);
    a.rib_droop = u(0.35f, 0.75f);
    a.rib_width = u(0.30f, 0.44f);
    a.rib_density = u(0.04f, 0.09f);
    a.front_rib_density = u(0.02f, 0.05f);
    a.clavicle_y = a.lung_top + u(0.10f, 0.20f);
    a.clavicle_slope = u(0.05f, 0.30f);
    a.clavicle_density = u(0.08f, 0.16f);
    const float breast = std::max(0.0f, u(-0.10f, 0.14f));
    for (float& side : a.breast) side = breast * u(0.8f, 1.2f);
    a.breast_y = u(0.12f, 0.32f);
    a.breast_size = u(0.28f, 0.40f);
    a.scapula = u(0.0f, 0.10f);
    a.abdomen = u(0.04f, 0.16f);
    a.haze = u(0.0f, 0.07f);
    a.bubble = {u(0.25f, 0.50f), base + u(0.16f, 0.28f)};
    a.bubble_size = u(0.08f, 0.18f);
    a.bubble_depth = std::max(0.0f, u(-0.1f, 0.22f));
    return a;
}

// Two families of curved stripes: the ribs at the back slope down outwards, those in front slope down inwards.
float ribs_at(const Anatomy& a, Point p, float across) {
    const float cage = step(-0.04f, 0.03f, a.lung_width[0] + 0.08f - across) * step(-0.05f, 0.05f, p.y - a.lung_top) *
                       step(-0.15f, 0.15f, 0.70f - p.y);
    if (cage <= 0) return 0;
    const auto stripe = [&](float phase) {
        const float off = 2 * std::abs(phase - std::floor(phase) - 0.5f);  // 0 in the middle of a rib, 1 between two
        const float inside = 1 - step(a.rib_width - 0.12f, a.rib_width + 0.12f, off);
        return inside * (0.7f + 0.3f * step(0.0f, a.rib_width, off));  // the cortex is denser than the marrow
    };
    const float back = p.y + 0.18f * across - a.rib_droop * square(across);
    const float front = p.y + 0.75f * across - 0.2f * square(across);
    const float density =
        a.rib_density * stripe(back / a.rib_spacing + a.rib_phase) * step(0.02f, 0.12f, across) +
        a.front_rib_density * stripe(front / (1.15f * a.rib_spacing) + 1.7f * a.rib_phase) * step(0.18f, 0.34f, across);
    return cage * density;
}

float bones_at(const Anatomy& a, Point p, float from_spine) {
    const float across = std::abs(from_spine);
    const float vertebra = 0.75f + 0.25f * std::abs(2 * (p.y / 0.17f - std::floor(p.y / 0.17f)) - 1);
    float density = a.spine * vertebra * blob(square(from_spine / 0.13f));
    density += ribs_at(a, p, across);
    const float collar = p.y - (a.clavicle_y - a.clavicle_slope * (across - 0.1f) + 0.35f * square(across - 0.35f));
    density +=
        a.clavicle_density * blob(square(collar / 0.055f)) * step(0.05f, 0.12f, across) * step(0.0f, 0.1f, 0.78f - across);
    density += a.scapula * blob(square((across - 0.72f - 0.12f * p.y) / 0.14f)) * step(-0.1f, 0.2f, 0.15f - p.y);
    return density;
}

// Everything that lies neither in air nor in bone.
float soft_at(const Anatomy& a, Point p, float from_spine) {
    const float across = std::abs(from_spine);
    const float width = a.neck_width + (a.body_width - a.neck_width) * step(-1.02f, -0.62f, p.y);
    const float body = step(-0.03f, 0.10f, width - across);
    float density = a.soft_tissue * body * (0.80f + 0.20f * step(0.0f, 0.5f, width - across));
    density -= a.trachea * blob(square(from_spine / 0.06f)) * step(0.0f, 0.15f, -0.25f - p.y);
    density += a.abdomen * body * step(0.30f, 0.70f, p.y);
    const float breast = square((across - 0.42f) / a.breast_size) + square((p.y - a.breast_y) / (0.8f * a.breast_size));
    density += a.breast[from_spine < 0 ? 0 : 1] * (1 - step(0.75f, 1.1f, breast));
    density -= a.bubble_depth * blob((square(p.x - a.bubble.x) + square(p.y - a.bubble.y)) / square(a.bubble_size));
    return density;
}

void draw_body(Canvas& canvas, const Anatomy& a, Random& random) {
    const ValueNoise<5> haze(random);
    size_t i = 0;
    for (int64_t row = 0; row < canvas.size(); ++row) {
        for (int64_t column = 0; column < canvas.size(); ++column, ++i) {
            const Point p = canvas.body_point(column, row);
            const float from_spine = p.x - a.spine_bend * p.y;
            const float air = air_at(a, p, from_spine), soft = soft_at(a, p, from_spine);
            canvas.air[i] = air;
            canvas.density[i] = soft + bones_at(a, p, from_spine) - a.air_depth[from_spine < 0 ? 0 : 1] * air +
                                a.haze * haze.at(p) * (soft > 0.2f);
        }
    }
}

// Pulmonary vessels: from each hilum outwards, thinner at each turn.
void draw_vessels(Canvas& canvas, const Anatomy& a, Random& random) {
    const float strength = random.uniform(0.03f, 0.07f);
    for (const float side : {-1.0f, 1.0f}) {
        const Point hilum{side * (a.inner + 0.06f), random.uniform(-0.16f, -0.04f)};
        canvas.near(hilum, 0.14f, [&](size_t i, int64_t, int64_t, Point p) {
            canvas.density[i] +=
                strength * canvas.air[i] * blob((square(p.x - hilum.x) + square(p.y - hilum.y)) / square(0.14f));
        });
        const int branches = 5 + static_cast<int>(random.below(4));
        for (int branch = 0; branch < branches; ++branch) {
            float angle = random.uniform(-1.3f, 1.4f), width = random.uniform(0.025f, 0.04f);
            Point from = hilum;
            for (int part = 0; part < 4; ++part) {
                const float length = random.uniform(0.08f, 0.16f);
                const Point to{from.x + side * length * std::cos(angle), from.y + length * std::sin(angle)};
                canvas.line(from, to, width, strength * (1 - 0.18f * static_cast<float>(part)), true);
                from = to;
                angle += random.uniform(-0.45f, 0.45f);
                width *= 0.8f;
            }
        }
    }
}

// Things that hospitals add: leads, electrodes, a pacemaker, a side marker.
void draw_devices(Canvas& canvas, Random& random) {
    const auto anywhere = [&] { return Point{random.uniform(-0.6f, 0.6f), random.uniform(-0.7f, 0.5f)}; };
    if (random.uniform() < 0.35f) {  // a lead across the chest, and its electrode
        Point from = anywhere();
        const float amount = random.uniform(0.10f, 0.25f);
        canvas.line(from, from, 0.05f, amount, false);
        for (int part = 0; part < 5; ++part) {
            const Point to{from.x + random.uniform(-0.25f, 0.25f), from.y + random.uniform(-0.25f, 0.25f)};
            canvas.line(from, to, 0.018f, amount, false);
            from = to;
        }
    }
    if (random.uniform() < 0.12f) {  // a pacemaker
        const float side = random.below(2) ? 1.0f : -1.0f;
        const Point centre{side * random.uniform(0.35f, 0.5f), random.uniform(-0.5f, -0.3f)};
        canvas.line({centre.x - 0.03f, centre.y}, {centre.x + 0.03f, centre.y}, 0.13f, 0.45f, false);
        canvas.line(centre, {0.1f, 0.2f}, 0.018f, 0.3f, false);
    }
    if (random.uniform() < 0.4f) {  // a letter at the edge
        const float side = random.below(2) ? 1.0f : -1.0f;
        const Point corner{side * random.uniform(0.7f, 0.85f), random.uniform(-0.85f, -0.6f)};
        canvas.line(corner, {corner.x, corner.y + 0.12f}, 0.025f, 0.5f, false);
        canvas.line({corner.x, corner.y + 0.12f}, {corner.x + 0.06f, corner.y + 0.12f}, 0.025f, 0.5f, false);
    }
}

// A smooth shadow over the lungs in either class: a fold of skin, fluid, a blanket. It is as bright as an opacity, so that
// brightness tells little, but has none of its texture; and it has no box.
void draw_shadow(Canvas& canvas, const Anatomy& a, Random& random) {
    if (random.uniform() < 0.4f) return;
    const float side = random.below(2) ? 1.0f : -1.0f;
    const Point centre{side * random.uniform(0.15f, a.lung_width[0]), random.uniform(-0.5f, 0.45f)};
    const float across = random.uniform(0.20f, 0.50f), down = random.uniform(0.20f, 0.50f),
                amount = random.uniform(0.06f, 0.26f);
    canvas.near(centre, std::max(across, down), [&](size_t i, int64_t, int64_t, Point p) {
        canvas.density[i] +=
            amount * canvas.air[i] * blob(square((p.x - centre.x) / across) + square((p.y - centre.y) / down));
    });
}

// From density to gray levels: exposure, contrast curve, collimator edges, noise.
void expose(const Canvas& canvas, Random& random, std::span<uint8_t> gray) {
    const float gain = random.uniform(0.95f, 1.35f), offset = random.uniform(-0.08f, 0.06f);
    const float gamma = random.uniform(0.75f, 1.3f), noise = random.uniform(0.004f, 0.018f);
    std::array<float, 4> edge{};
    for (float& side : edge) side = std::max(0.0f, random.uniform(-0.15f, 0.06f)) * static_cast<float>(canvas.size());
    std::array<float, 257> curve;
    for (size_t i = 0; i < curve.size(); ++i) curve[i] = 255 * std::pow(static_cast<float>(i) / 256, gamma);
    const auto size = static_cast<float>(canvas.size());
    size_t i = 0;
    for (float y = 0.5f; y < size; ++y) {
        for (float x = 0.5f; x < size; ++x, ++i) {
            const uint32_t bits = random.bits();  // the sum of four bytes is near enough to a normal number
            const auto sum = static_cast<float>((bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24));
            const bool open = x > edge[0] && size - x > edge[1] && y > edge[2] && size - y > edge[3];
            const float value = (open ? gain * canvas.density[i] + offset : 0.0f) + noise * (sum - 510) * (1 / 147.8f);
            const float place = std::clamp(value, 0.0f, 0.9999f) * 256;
            const auto at = static_cast<size_t>(place);
            const float level = curve[at] + (curve[at + 1] - curve[at]) * (place - static_cast<float>(at));
            gray[i] = static_cast<uint8_t>(level + 0.5f);
        }
    }
}

}  // namespace

float air_at(const Anatomy& a, Point p, float from_spine) {
    const int side = from_spine < 0 ? 0 : 1;
    const float across = std::abs(from_spine), base = a.lung_base[side];
    const float down = std::clamp((p.y - a.lung_top) / (base - a.lung_top), 0.0f, 1.0f);
    const float outer = a.lung_width[side] * (0.30f + 0.70f * std::sqrt(1 - square(1 - down)));
    const float inner = a.inner + 0.06f * square(down);
    const float floor = base + a.dome * (square(across - 0.33f) - 0.02f);
    float air = step(-0.02f, 0.07f, outer - across) * step(-0.02f, 0.06f, across - inner);
    air *= step(-0.01f, 0.10f, p.y - a.lung_top) * step(-0.02f, 0.04f, floor - p.y);
    if (air <= 0) return 0;
    const float hx = p.x - a.heart_x, hy = p.y - a.heart_y;
    const float along = hx + a.heart_tilt * hy, over = hy - 0.4f * a.heart_tilt * hx;
    const float heart = square(along / a.heart_rx) + square(over / a.heart_ry);
    return air * (1 - a.heart_density * (1 - step(0.72f, 1.15f, heart)));
}

}  // namespace drawing

Phantom draw_phantom(uint64_t seed, uint32_t index, int64_t size, std::span<uint8_t> gray) {
    using namespace drawing;
    Random random(seed, RandomUse::synthetic, index);
    Phantom phantom;
    phantom.pneumonia = random.uniform() < 0.73f;  // 2.7 to 1, as in the pediatric set
    const Anatomy anatomy = draw_anatomy(random);
    Canvas canvas(size, anatomy);
    draw_body(canvas, anatomy, random);
    draw_vessels(canvas, anatomy, random);
    draw_devices(canvas, random);
    draw_shadow(canvas, anatomy, random);
    const size_t wanted = phantom.pneumonia ? 1 + random.below(3) : 0;
    OpacityJudge judge(anatomy);
    for (int tries = 0; tries < 100 && phantom.boxes.size() < wanted; ++tries) {  // a place without air is drawn again
        const Opacity opacity = draw_opacity(anatomy, random);
        if (!judge.accepts(opacity)) continue;
        phantom.boxes.push_back(add_opacity(canvas, opacity));
    }
    phantom.pneumonia = !phantom.boxes.empty();
    expose(canvas, random, gray);
    return phantom;
}

}  // namespace xbench
