// What the parts of a procedural X-ray share: the anatomy that is drawn per pixel, and the picture while it is drawn.
// Coordinates and densities are those of phantom.cpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace xbench::drawing {

struct Point {
    float x, y;
};

// 0 below `low`, 1 above `high`, smooth between them.
inline float step(float low, float high, float value) {
    const float t = std::clamp((value - low) / (high - low), 0.0f, 1.0f);
    return t * t * (3 - 2 * t);
}

// 1 at the centre, 0 from the radius on; takes the squared distance in radii.
inline float blob(float squared) {
    const float rest = std::max(0.0f, 1 - squared);
    return rest * rest;
}

inline float square(float value) { return value * value; }

// Everything of the anatomy that is drawn per pixel.
struct Anatomy {
    float cosine, sine, scale, shift_x, shift_y;  // pose: body frame from image frame
    float body_width, neck_width, soft_tissue, spine, spine_bend, trachea;
    float lung_top, lung_width[2], lung_base[2], air_depth[2], dome, inner;
    float heart_x, heart_y, heart_rx, heart_ry, heart_tilt, heart_density;
    float rib_spacing, rib_phase, rib_droop, rib_width, rib_density, front_rib_density;
    float clavicle_y, clavicle_slope, clavicle_density;
    float breast[2], breast_y, breast_size, scapula, abdomen, haze;
    Point bubble;
    float bubble_size, bubble_depth;
};

// The share of air on the way of a ray: 1 deep inside a lung, 0 outside.
float air_at(const Anatomy& a, Point p, float from_spine);

// The picture while it is drawn: one density and one share of air a pixel, and an opacity that is being made up.
class Canvas {
public:
    Canvas(int64_t size, const Anatomy& anatomy) : size_(size), anatomy_(anatomy) {
        density.assign(static_cast<size_t>(size * size), 0.0f);
        air.assign(density.size(), 0.0f);
        patch.assign(density.size(), 0.0f);
    }
    Point body_point(int64_t column, int64_t row) const {
        const float u = (2 * static_cast<float>(column) + 1) / static_cast<float>(size_) - 1;
        const float v = (2 * static_cast<float>(row) + 1) / static_cast<float>(size_) - 1;
        return {anatomy_.cosine * u - anatomy_.sine * v - anatomy_.shift_x,
                anatomy_.sine * u + anatomy_.cosine * v - anatomy_.shift_y};
    }
    // Calls body(pixel index, column, row, point) for every pixel within `radius` of a point of the body frame.
    template <class Body>
    void near(Point centre, float radius, const Body& body) const {
        const float x = centre.x + anatomy_.shift_x, y = centre.y + anatomy_.shift_y;
        const float norm = 1 / square(anatomy_.scale);
        const float u = (anatomy_.cosine * x + anatomy_.sine * y) * norm,
                    v = (anatomy_.cosine * y - anatomy_.sine * x) * norm;
        const float reach = radius / anatomy_.scale;
        const auto pixel = [&](float place) {
            const float at = (place + 1) * 0.5f * static_cast<float>(size_);
            return static_cast<int64_t>(std::clamp(at, 0.0f, static_cast<float>(size_)));
        };
        for (int64_t row = pixel(v - reach), last = std::min(pixel(v + reach) + 1, size_); row < last; ++row) {
            for (int64_t column = pixel(u - reach), end = std::min(pixel(u + reach) + 1, size_); column < end; ++column) {
                body(static_cast<size_t>(row * size_ + column), column, row, body_point(column, row));
            }
        }
    }
    // A soft line, denser by `amount` at its axis; only as dense as there is air around it when `in_air`.
    void line(Point from, Point to, float half_width, float amount, bool in_air) {
        const Point middle{0.5f * (from.x + to.x), 0.5f * (from.y + to.y)};
        const Point along{to.x - from.x, to.y - from.y};
        const float squared = square(along.x) + square(along.y) + 1e-9f;
        near(middle, 0.5f * std::sqrt(squared) + half_width, [&](size_t i, int64_t, int64_t, Point p) {
            const float t = std::clamp(((p.x - from.x) * along.x + (p.y - from.y) * along.y) / squared, 0.0f, 1.0f);
            const float distance = square(p.x - from.x - t * along.x) + square(p.y - from.y - t * along.y);
            density[i] += amount * blob(distance / square(half_width)) * (in_air ? air[i] : 1.0f);
        });
    }
    int64_t size() const { return size_; }

    std::vector<float> density, air, patch;

private:
    int64_t size_;
    const Anatomy& anatomy_;
};

}  // namespace xbench::drawing
