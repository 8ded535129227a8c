/* caio.hpp with callbacks (C++17). */
#include "check.hpp"

#include <poll.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using std::errc;

static caio::options options;

static void borrowed_memory_is_read_and_written()
{
    caio::context context(options);
    caio::file file = temporary("Hello world");
    char text[64] = {};
    CHECK(*run(context, caio::read(file, text)) == 11 && std::string_view(text) == "Hello world");
    const std::string_view async = "async world";
    CHECK(run(context, caio::write(file, async, 6).full()).value() == 11);
    std::vector<char> whole(64);
    CHECK(*run(context, caio::read(file, whole).full().timeout(1min)) == 17);
    CHECK(std::string_view(whole.data(), 17) == "Hello async world");
    std::array<char, 5> first{};
    std::array<char, 12> rest{};
    CHECK(*run(context, caio::readv(file, {first, rest})) == 17 && rest[1] == 'a');
    CHECK(*run(context, caio::writev(file, {rest, first})) == 17);
}

static void owned_memory_comes_back_with_the_result()
{
    caio::context context(options);
    caio::file file = temporary("Hello world");
    auto read = run(context, caio::read(file, std::string(5, ' '))); /* short: moving it changes its address */
    CHECK(read && *read.count == 5 && read.memory == "Hello");
    auto written = run(context, caio::write(file, std::vector<int>{1, 2, 3}));
    CHECK(*written.count == 3 * sizeof(int) && written.memory.size() == 3);
    auto failed = run(context, caio::read(-1, caio::buffer(4096)));
    CHECK(!failed && failed.count.error() == errc::bad_file_descriptor && failed.memory.size() == 4096);
}

static void errors_are_of_the_category_and_compare_with_errc()
{
    caio::context context(options);
    auto opened = run(context, caio::open("no/such/file", O_RDONLY));
    CHECK(!opened && opened.error() == errc::no_such_file_or_directory);
    CHECK(opened.error().category() == caio::category() && opened.error().message() == caio_strerror(ENOENT));
    bool thrown = false;
    try {
        opened.value();
    } catch (const std::system_error &error) {
        thrown = error.code() == errc::no_such_file_or_directory;
    }
    CHECK(thrown);
    caio::options wrong = options;
    wrong.max_requests = ~0u;
    CHECK(caio::context::create(wrong).error() == errc::invalid_argument);
}

static void a_chain_stops_at_the_first_failure()
{
    caio::context context(options);
    caio::file file = temporary("");
    char text[4] = {};
    bool called = false;
    auto request = context.start(caio::chain(caio::write(file, "done", 0).full(), caio::read(file, text), caio::read(-1, text),
                                             caio::open("/dev/null", O_RDONLY)),
                                 [&](auto results) {
                                     auto &[written, read, failed, opened] = results;
                                     CHECK(*written == 5 && *read == 4 && std::string_view(text, 4) == "done");
                                     CHECK(failed.error() == errc::bad_file_descriptor);
                                     CHECK(opened.error() == errc::operation_canceled);
                                     called = true;
                                 });
    CHECK(request && context.run() && called);
}

static void a_chain_uses_and_closes_the_file_that_it_opens()
{
    caio::context context(options);
    std::string path = "/proc/self/fd/";
    caio::file file = temporary("Hello world");
    path += std::to_string(file.get());
    bool called = false;
    int before = caio::file(::dup(0)).get();
    auto done = [&](auto results) {
        auto &[opened, read, closed] = results;
        CHECK(opened && !*opened && *read.count == 11 && read.memory.substr(0, 11) == "Hello world" && closed);
        called = true;
    };
    CHECK(context.start(caio::chain(caio::open(path, O_RDONLY), caio::read(caio::opened, std::string(64, ' ')), caio::close_opened()), done));
    CHECK(context.run() && called && ::fcntl(0, F_GETFD) >= 0 && caio::file(::dup(0)).get() == before);
    auto kept = [&](auto results) { CHECK(*std::get<0>(results) && std::get<0>(results)->get() > 0); };
    CHECK(context.start(caio::chain(caio::open(path, O_RDONLY), caio::read(caio::opened, std::string(11, ' '))), kept));
    CHECK(context.run());
}

static void a_request_cancels_its_operation()
{
    caio::context context(options);
    pipe_pair pipe;
    std::error_code error;
    auto request = context.start(caio::read(pipe.reader, caio::buffer(64), caio::current_position),
                                 [&](auto result) { error = result.count.error(); });
    CHECK(request && *request->cancel() == 1);
    CHECK(context.run() && error == errc::operation_canceled);
    CHECK(request->cancel().error() == errc::no_such_file_or_directory);
    auto timed = run(context, caio::read(pipe.reader, caio::buffer(64), caio::current_position).timeout(1ms));
    CHECK(timed.count.error() == errc::timed_out);
}

static void the_descriptor_drives_a_loop()
{
    caio::context context(options);
    caio::file file = temporary("Hello world");
    int left = 1000;
    std::function<void()> next = [&] {
        auto request = context.start(caio::read(file, std::string(11, ' ')), [&](auto got) {
            CHECK(got.memory == "Hello world");
            if (--left > 0)
                next();
        });
        CHECK(request);
    };
    next();
    while (left > 0) {
        pollfd ready = {context.descriptor(), POLLIN, 0};
        CHECK(::poll(&ready, 1, 60000) == 1);
        CHECK(context.poll());
    }
}

static void a_handler_that_throws_loses_no_completion()
{
    caio::context context(options);
    int called = 0;
    for (int i = 0; i < 10; i++)
        CHECK(context.start(caio::nop(), [&](auto) {
            if (++called == 3)
                throw std::runtime_error("third");
        }));
    bool thrown = false;
    while (called < 10) {
        pollfd ready = {context.descriptor(), POLLIN, 0};
        CHECK(::poll(&ready, 1, 60000) == 1);
        try {
            CHECK(context.poll());
        } catch (const std::runtime_error &) {
            thrown = true;
        }
    }
    CHECK(thrown && context.run() && called == 10);
}

static void the_destructor_releases_handlers_without_calling_them()
{
    auto owned = std::make_shared<int>(7);
    pipe_pair pipe;
    std::optional<caio::result<caio::request>> late;
    {
        caio::context context(options);
        auto never = [owned](auto) { CHECK(false && "called"); };
        late = context.start(caio::read(pipe.reader, caio::buffer(64), caio::current_position), never);
        CHECK(*late && context.start(caio::open("/dev/null", O_RDONLY), never));
        CHECK(owned.use_count() == 4);
    }
    CHECK((*late)->cancel().error() == errc::no_such_file_or_directory);
    late.reset();
    CHECK(owned.use_count() == 1);
}

static void a_full_context_refuses_to_start()
{
    caio::options small = options;
    small.max_requests = 1;
    caio::context context(small);
    CHECK(context.start(caio::nop(), [](auto) {}));
    CHECK(context.start(caio::nop(), [](auto) { CHECK(false && "called"); }).error() == errc::resource_unavailable_try_again);
    CHECK(context.run() && context.stats().submitted == 1 && context.max_requests() == 1);
}

static void buffers_are_aligned_for_direct_io()
{
    caio::context context(options);
    caio::file file = temporary(std::string(10000, 'x'));
    auto memory = caio::buffer::direct(file, 5000);
    if (!memory) { /* such as an overlay over tmpfs */
        CHECK(memory.error() == errc::invalid_argument);
        return;
    }
    auto alignment = caio::alignment_of(file).value();
    CHECK(reinterpret_cast<std::uintptr_t>(memory->data()) % alignment.memory == 0);
    CHECK(memory->size() >= 5000 && memory->size() % alignment.offset == 0);
    caio::file direct(::open(("/proc/self/fd/" + std::to_string(file.get())).c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
    if (direct)
        CHECK(*run(context, caio::read(direct, *std::move(memory))).count >= 5000);
}

static void threads_start_and_handle_at_the_same_time()
{
    caio::context context(options);
    caio::file file = temporary("Hello world");
    std::atomic<int> handled{0};
    auto work = [&] {
        for (int i = 0; i < 2000; i++) {
            auto started = context.start(caio::read(file, std::string(11, ' ')), [&](auto got) { handled += got.memory == "Hello world"; });
            if (!started)
                i--;
            CHECK(context.poll());
        }
    };
    std::thread other(work);
    work();
    other.join();
    CHECK(context.run() && handled == 4000);
}

static void a_wake_ends_a_wait()
{
    caio::context context(options);
    CHECK(context.wake() && *context.wait() == 0);
    CHECK(*context.wait(1ms) == 0);
    CHECK(caio::probe(context.backend()) && !caio::name_of(context.backend()).empty());
}

int main(int argc, char **argv)
{
    options = options_of(argc, argv);
    borrowed_memory_is_read_and_written();
    owned_memory_comes_back_with_the_result();
    errors_are_of_the_category_and_compare_with_errc();
    a_chain_stops_at_the_first_failure();
    a_chain_uses_and_closes_the_file_that_it_opens();
    a_request_cancels_its_operation();
    the_descriptor_drives_a_loop();
    a_handler_that_throws_loses_no_completion();
    the_destructor_releases_handlers_without_calling_them();
    a_full_context_refuses_to_start();
    buffers_are_aligned_for_direct_io();
    threads_start_and_handle_at_the_same_time();
    a_wake_ends_a_wait();
}
