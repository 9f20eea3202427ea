// A build without DCMTK: DICOM files are recognised and quarantined with this reason.
#include "core/error.h"
#include "data/import/decoders.h"

namespace xbench {

bool reads_dicom() { return false; }
void prepare_decoders() {}

Image decode_dicom(std::span<const uint8_t>, int, int64_t) {
    throw Error("DICOM is off in this build (install libdcmtk-dev and libopenjp2-7-dev, and configure again)");
}

}  // namespace xbench
