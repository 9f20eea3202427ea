// Shared by the two halves of h5.h: owning handles, the mutex, and the system's reason for a failure.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

#include <hdf5.h>

namespace xbench::h5 {

// Held during every call into HDF5. Also stops the library from printing its error stack.
std::unique_lock<std::recursive_mutex> lock_library();

// The system's reason for the last failure ("No space left on device"), found in HDF5's error stack, or "". HDF5's own words
// are about its insides and never shown.
std::string system_reason();

// An HDF5 identifier and the function that closes it. Destroy it under the lock.
class Handle {
public:
    using Close = herr_t (*)(hid_t);
    Handle() = default;
    Handle(hid_t id, Close closer) : id_(id), close_(closer) {}
    Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
    Handle& operator=(Handle&& other) noexcept {
        std::swap(id_, other.id_);
        std::swap(close_, other.close_);
        return *this;
    }
    ~Handle() {
        if (id_ >= 0) close_(id_);
    }
    hid_t get() const { return id_; }
    explicit operator bool() const { return id_ >= 0; }
    // Leaves the object to the library: one whose file could not be written cannot be closed either.
    void abandon() { id_ = -1; }
    // Closes now and tells whether that worked: closing a file is when its last bytes are written.
    bool close() { return id_ < 0 || close_(std::exchange(id_, -1)) >= 0; }

private:
    hid_t id_ = -1;
    Close close_ = nullptr;
};

// A fixed-length UTF-8 string type, padded with zero bytes.
Handle string_type(size_t bytes);

}  // namespace xbench::h5
