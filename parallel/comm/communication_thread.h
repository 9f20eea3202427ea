// A thread beside the computing ones that does a rank's pieces of communication, always in the same order, as soon as
// computing allows each. It has no core of its own: it shares those of its rank, and sleeps while it waits.
// On a device that computes later than it is told, a piece happens in another order than computing: behind what computing
// was told before it allowed the piece, and computing goes on behind the pieces that it waits for. Where communication
// itself only goes into that order (DataPlane::goes_into_order), no thread is needed: the caller puts the pieces there at
// once.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/device.h"

namespace xbench {

class CommunicationThread {
public:
    // Piece of communication number 0, 1, 2 ... of a step, in `order` and on a channel that nobody else calls
    // (Communicator::channel_on).
    using Work = std::function<void(size_t number)>;
    enum class By { thread, caller };
    // Both devices outlive it; `order` is computing.another_order().
    CommunicationThread(Device& computing, Device& order, By who, Work work);
    // Waits for the piece at hand; not to be called while the thread is stuck().
    ~CommunicationThread();
    CommunicationThread(const CommunicationThread&) = delete;
    CommunicationThread& operator=(const CommunicationThread&) = delete;

    void allow(size_t pieces);     // so many of this step may be done
    void wait_for(size_t pieces);  // until so many are done, which were allowed. Throws what one of them has thrown.
    void start_over();             // the next step begins; all that were allowed are done
    // Whether it is in a collective that its peers may never come to: only aborting the job ends that.
    bool stuck() const;

    // A call in the order of communication, between what computing was told before and what it is told next. By the caller
    // only.
    template <class F>
    void in_between(F&& call) {
        order_.follow(computing_, computing_.record());
        call();
        computing_.follow(order_, order_.record());
    }

private:
    void run();
    void do_at_once(size_t pieces);
    DeviceEvent do_piece(size_t number, const DeviceEvent& allowed);

    Device &computing_, &order_;
    const By who_;
    const Work work_;
    size_t allowed_ = 0, done_ = 0;
    std::vector<DeviceEvent> when_allowed_, when_done_;  // of each piece, in the order of computing and of communication
    size_t followed_ = 0;                                // pieces behind which computing goes on
    mutable std::mutex mutex_;                           // over all but work_
    std::condition_variable changed_;
    std::exception_ptr failure_;
    bool stop_ = false;
    std::thread thread_;
};

}  // namespace xbench
