/* caio/asio.hpp with Boost.Asio, or with Asio (CAIO_ASIO_STANDALONE). */
#include "check.hpp"

#include <caio/asio.hpp>

#include <array>
#include <atomic>
#include <future>
#include <string>
#include <thread>

#if (defined(ASIO_HAS_CO_AWAIT) || defined(BOOST_ASIO_HAS_CO_AWAIT)) && CAIO_ASIO_SLOTS
#define CAN_AWAIT 1
#endif

namespace net = caio::asio::net;
using caio::asio::error_code;
using caio::asio::random_access_file;

static void reads_and_writes_complete_with_handlers()
{
    net::io_context io;
    random_access_file file(io.get_executor(), temporary("Hello world"));
    std::string hello(5, ' '), world(100, ' ');
    int handled = 0;
    std::array<net::mutable_buffer, 2> both = {net::buffer(hello), net::buffer(world)};
    file.async_read_some_at(0, both, [&](error_code error, std::size_t count) {
        CHECK(!error && count == 11 && hello == "Hello" && world.substr(0, 6) == " world");
        file.async_write_some_at(0, net::buffer(world, 6), [&](error_code failed, std::size_t written) {
            CHECK(!failed && written == 6);
            file.async_sync([&](error_code unsynced) { handled += !unsynced; });
        });
    });
    file.async_read_some_at(11, net::buffer(world, 1), [&](error_code error, std::size_t count) {
        CHECK(error == net::error::eof && count == 0);
        handled++;
    });
    CHECK(handled == 0);
    io.run(); /* returns: nothing is in flight */
    CHECK(handled == 2);
}

static void composed_operations_and_futures_work()
{
    net::io_context io;
    random_access_file file(io.get_executor(), temporary(std::string(100000, 'x')));
    std::string memory(100000, ' ');
    auto count = net::async_read_at(file, 0, net::buffer(memory), net::use_future);
    auto written = net::async_write_at(file, 100000, net::buffer(std::string_view("end")), net::use_future);
    std::thread runner([&] { io.run(); });
    CHECK(count.get() == 100000 && written.get() == 3 && memory == std::string(100000, 'x'));
    runner.join();
}

static void a_full_context_queues_operations()
{
    net::io_context io;
    random_access_file file(io.get_executor(), temporary("Hello world"));
    std::size_t most = net::use_service<caio::asio::service>(io).context().max_requests(), handled = 0;
    std::vector<std::string> memory(most * 3, std::string(11, ' '));
    for (auto &each : memory)
        file.async_read_some_at(0, net::buffer(each), [&](error_code error, std::size_t count) { handled += !error && count == 11; });
    io.run();
    CHECK(handled == memory.size());
    CHECK(memory.front() == "Hello world" && memory.back() == "Hello world");
}

static void close_cancels_and_keeps_the_descriptor_until_then()
{
    net::io_context io;
    pipe_pair pipe;
    int number = pipe.reader.get();
    auto device = std::make_unique<random_access_file>(io.get_executor(), std::move(pipe.reader));
    char memory[16];
    error_code seen;
    device->async_read_some_at(CAIO_OFFSET_CURRENT, net::buffer(memory), [&](error_code error, std::size_t) { seen = error; });
    device->close();
    device.reset();
    CHECK(::fcntl(number, F_GETFD) >= 0);
    io.run();
    CHECK(seen == net::error::operation_aborted && ::fcntl(number, F_GETFD) == -1);
}

static void an_execution_context_can_go_with_operations_in_flight()
{
    auto owned = std::make_shared<std::string>(16, ' ');
    pipe_pair pipe;
    {
        net::io_context io;
        random_access_file device(io.get_executor(), std::move(pipe.reader));
        device.async_read_some_at(CAIO_OFFSET_CURRENT, net::buffer(*owned), [owned](error_code, std::size_t) { CHECK(false && "called"); });
        CHECK(owned.use_count() == 2);
    }
    CHECK(owned.use_count() == 1);
}

static void several_threads_run_the_execution_context()
{
    net::io_context io;
    random_access_file file(io.get_executor(), temporary("Hello world"));
    std::atomic<int> left{4000}, handled{0};
    struct reader {
        random_access_file &file;
        std::atomic<int> &left, &handled;
        std::shared_ptr<std::string> memory = std::make_shared<std::string>(11, ' ');
        void next()
        {
            if (left-- > 0)
                file.async_read_some_at(0, net::buffer(*memory), *this);
        }
        void operator()(error_code error, std::size_t count)
        {
            handled += !error && count == 11 && *memory == "Hello world";
            next();
        }
    };
    for (int i = 0; i < 8; i++)
        reader{file, left, handled}.next();
    std::thread other([&] { io.run(); });
    io.run();
    other.join();
    CHECK(handled == 4000);
}

static void a_cancellation_slot_cancels()
{
#if CAIO_ASIO_SLOTS
    net::io_context io;
    pipe_pair pipe;
    random_access_file device(io.get_executor(), std::move(pipe.reader));
    net::cancellation_signal signal;
    char memory[16];
    error_code seen;
    auto handler = [&](error_code error, std::size_t) { seen = error; };
    device.async_read_some_at(CAIO_OFFSET_CURRENT, net::buffer(memory), net::bind_cancellation_slot(signal.slot(), handler));
    signal.emit(net::cancellation_type::terminal);
    io.run();
    CHECK(seen == net::error::operation_aborted);
#endif
}

#if defined(CAN_AWAIT)
static net::awaitable<void> read_all(random_access_file &file, std::string &memory)
{
    std::size_t count = co_await net::async_read_at(file, 0, net::buffer(memory), net::use_awaitable);
    CHECK(count == memory.size());
}
#endif

static void coroutines_await_files()
{
#if defined(CAN_AWAIT)
    net::io_context io;
    random_access_file file(io.get_executor(), temporary("Hello world"));
    std::string memory(11, ' ');
    net::co_spawn(io, read_all(file, memory), net::detached);
    io.run();
    CHECK(memory == "Hello world");
#endif
}

int main()
{
    reads_and_writes_complete_with_handlers();
    composed_operations_and_futures_work();
    a_full_context_queues_operations();
    close_cancels_and_keeps_the_descriptor_until_then();
    an_execution_context_can_go_with_operations_in_flight();
    several_threads_run_the_execution_context();
    a_cancellation_slot_cancels();
    coroutines_await_files();
}
