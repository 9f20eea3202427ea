// The bytes of one frame out of a parsed DICOM file, whatever their coding. Internal to data/import/dicom: with
// dataset.cpp the only users of DCMTK.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/import/dicom/frame.h"

class DcmDataset;

namespace xbench::dicom {

struct Coding {
    std::string uid;   // of the transfer syntax, empty where the file does not say
    std::string name;  // for messages
};

// DCMTK's decoders, made ready once for the process; silent.
void start_library();
// Fills in frame.bytes and what the coding decides: photometric, by_plane, half_chroma. The other attributes are there.
// Throws Error.
void read_pixels(DcmDataset& dataset, const Coding& coding, int64_t index, int64_t frames, Frame& frame);

// A JPEG 2000 code stream, or one in a JP2 file, whose size and samples must be the frame's. Stream values as they are;
// what their sign is the file's attributes decide. By OpenJPEG.
void decode_jpeg2000(std::span<const uint8_t> stream, Frame& frame);

}  // namespace xbench::dicom
