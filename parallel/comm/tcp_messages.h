// What goes over the connections of ranks that meet without MPI: plain structures in this machine's byte order. Each
// connection begins with a hello of the rank. A watch line is a rank's own, from its coming to its end, and carries notices.
// A line belongs to one communicator: each request of a rank is answered when all ranks of that communicator have made
// theirs.
#pragma once

#include <cstdint>

namespace xbench {

enum class TcpPurpose : uint32_t { watch = 1, line = 2 };

struct TcpHello {
    char secret[32] = {};
    TcpPurpose purpose = TcpPurpose::watch;
    int32_t rank = 0, size = 0;  // as the launcher numbers them; of a line: the place in its communicator
    int32_t known_as = 0;
    uint64_t channel = 0;  // of a line
    uint64_t bytes = 0;    // that follow: a watch line's name of its node
};
// The answer to a watch line's hello when all have come; the node of each rank follows, as int32_t.
struct TcpWelcome {
    int32_t rank = 0, accepted = 0;
};

enum class TcpNews : int32_t { abort = 1, lost = 2, goodbye = 3 };
struct TcpNotice {
    TcpNews news = TcpNews::goodbye;
    int32_t number = 0;  // an exit code, or a rank
};

enum class TcpOperation : int32_t {
    who_is_missing,  // answered at once
    barrier,
    gather_bytes,
    all_reduce,
    all_reduce_max,
    reduce_scatter,
    all_gather,
    broadcast,
    shift,
    split
};
const char* name_of(TcpOperation operation);

struct TcpRequest {
    TcpOperation operation = TcpOperation::barrier;
    int32_t reserved = 0;
    uint64_t bytes = 0;  // that follow
};
// Then, of a request that all have made, as many uint64_t as there are ranks, the sizes, and everybody's bytes.
struct TcpReply {
    enum Status : int32_t { gathered, missing, disagree };
    Status status = gathered;
    int32_t rank = -1;  // that is missing (negative: nobody is), or asks for something else
    TcpOperation operation = TcpOperation::barrier;
    int32_t reserved = 0;
    uint64_t bytes = 0;
};

}  // namespace xbench
