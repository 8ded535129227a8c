/* Asio: its descriptor closes what it is given, so it gets a dup(2). caio/asio.hpp does this for you. */
#include "reads.h"
#include <asio.hpp>
#include <unistd.h>

using asio::error_code;

struct loop {
    asio::io_context io;
    asio::posix::stream_descriptor descriptor{io};
    asio::steady_timer timer{io};

    void watch()
    {
        descriptor.async_wait(asio::posix::descriptor_base::wait_read, [this](error_code error) {
            if (error)
                return;
            if (reads_handle())
                watch(); /* after each batch */
            else
                io.stop();
        });
    }
    void tick()
    {
        timer.expires_after(std::chrono::milliseconds(TICK_MS));
        timer.async_wait([this](error_code error) {
            if (error)
                return;
            reads_tick();
            tick();
        });
    }
};

int main(int argc, char **argv)
{
    loop loop;
    reads_start(argc, argv);
    loop.descriptor.assign(checked(dup(reads_descriptor()), "dup"));
    loop.watch();
    loop.tick();
    loop.io.run();

    loop.descriptor.close(); /* before caio_ctx_free */
    return reads_finish();
}
