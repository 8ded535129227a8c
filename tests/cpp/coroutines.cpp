/* caio.hpp with coroutines (C++20). */
#include "check.hpp"
#include "task.hpp"

#include <array>
#include <atomic>
#include <optional>
#include <span>
#include <stop_token>
#include <thread>

using std::errc;

static caio::options options;

static task read_twice(caio::context &context, int fd, bool &ok)
{
    std::array<char, 5> memory{};
    auto first = co_await context.async(caio::read(fd, std::span(memory)));
    CHECK(*first == 5);
    auto [opened, second] = co_await context.async(
        caio::chain(caio::open("/dev/null", O_RDONLY | O_CLOEXEC), caio::read(fd, std::string(5, ' '), 6)));
    CHECK(opened && second.memory == "world");
    ok = true;
}

static void an_operation_and_a_chain_are_awaited()
{
    caio::context context(options);
    caio::file file = temporary("Hello world");
    bool ok = false;
    task reader = read_twice(context, file.get(), ok);
    CHECK(!ok && context.run() && ok && reader.done());
}

static task read_pipe(caio::context &context, int fd, std::error_code &error, std::stop_token token = {})
{
    std::array<char, 64> memory; /* borrowed, and in the coroutine itself */
    auto count = co_await context.async(caio::read(fd, memory, caio::current_position), token);
    error = count.error();
}

static task read_pipe_owned(caio::context &context, int fd, std::error_code &error)
{
    auto got = co_await context.async(caio::read(fd, caio::buffer(64), caio::current_position));
    error = got.count.error();
}

static void a_stop_cancels_the_operation()
{
    caio::context context(options);
    pipe_pair pipe;
    std::stop_source source;
    std::error_code error;
    task reader = read_pipe(context, pipe.reader.get(), error, source.get_token());
    CHECK(!reader.done());
    std::thread stopper([&] { source.request_stop(); });
    CHECK(context.run() && reader.done() && error == errc::operation_canceled);
    stopper.join();
    task late = read_pipe(context, pipe.reader.get(), error = {}, source.get_token());
    CHECK(late.done() && error == errc::operation_canceled && context.stats().submitted == 1);
}

static void a_suspended_coroutine_can_be_destroyed()
{
    caio::context context(options);
    pipe_pair pipe;
    std::error_code error;
    int others = 0;
    for (int i = 0; i < 100; i++) {
        CHECK(context.start(caio::nop(), [&](auto) { others++; }));
        task borrowed = read_pipe(context, pipe.reader.get(), error);
        borrowed.destroy();
        CHECK(context.stats().inflight <= 1 && others == i); /* its event was taken; a NOP signals the other one */
        task owned = read_pipe_owned(context, pipe.reader.get(), error);
        owned.destroy();
        CHECK(context.wait(std::chrono::seconds(60)) && context.run());
    }
    CHECK(others == 100 && !error);
    /* The bytes that arrive later are for other readers. */
    CHECK(::write(pipe.writer.get(), "x", 1) == 1);
    char byte = 0;
    CHECK(::read(pipe.reader.get(), &byte, 1) == 1 && byte == 'x');
}

static void a_handler_can_destroy_a_coroutine_of_the_same_batch()
{
    caio::context context(options);
    caio::file file = temporary("Hello world");
    std::error_code error;
    std::optional<task> victim;
    CHECK(context.start(caio::nop(), [&](auto) { victim.reset(); }));
    victim.emplace(read_pipe(context, file.get(), error)); /* complete, and its event is in the batch */
    CHECK(context.run() && !victim);
}

static task open_late(caio::context &context)
{
    auto opened = co_await context.async(caio::open("/dev/null", O_RDONLY | O_CLOEXEC));
    CHECK(opened);
}

static void an_abandoned_open_leaks_no_descriptor()
{
    caio::context context(options);
    caio::file probe(::dup(0));
    int lowest = probe.get();
    probe = caio::file();
    for (int i = 0; i < 100; i++)
        open_late(context).destroy();
    CHECK(context.run());
    probe = caio::file(::dup(0));
    CHECK(probe.get() == lowest);
}

static void a_context_can_go_before_its_coroutines()
{
    pipe_pair pipe;
    std::error_code error;
    std::optional<caio::context> context(std::in_place, options);
    task borrowed = read_pipe(*context, pipe.reader.get(), error);
    task owned = read_pipe_owned(*context, pipe.reader.get(), error);
    context.reset();
    CHECK(!borrowed.done() && !owned.done());
}

static void a_full_context_resumes_with_the_error()
{
    caio::options small = options;
    small.max_requests = 1;
    caio::context context(small);
    pipe_pair pipe;
    std::error_code error;
    CHECK(context.start(caio::nop(), [](auto) {}));
    task refused = read_pipe_owned(context, pipe.reader.get(), error);
    CHECK(refused.done() && error == errc::resource_unavailable_try_again);
    CHECK(context.run());
}

static task read_often(caio::context &context, int fd, std::stop_token token, std::atomic<int> &done)
{
    for (int i = 0; i < 2000; i++) {
        auto got = co_await context.async(caio::read(fd, std::string(5, ' ')), token);
        CHECK(got ? got.memory == "Hello" : got.count.error() == errc::operation_canceled);
    }
    done++;
}

static void stops_race_with_completions_on_other_threads()
{
    caio::context context(options);
    caio::file file = temporary("Hello world");
    std::stop_source source;
    std::atomic<int> done{0};
    task first = read_often(context, file.get(), source.get_token(), done);
    task second = read_often(context, file.get(), source.get_token(), done);
    std::thread other([&] {
        while (done < 2)
            CHECK(context.wait(std::chrono::milliseconds(1)));
    });
    std::thread stopper([&] { source.request_stop(); });
    while (done < 2)
        CHECK(context.wait(std::chrono::milliseconds(1)));
    other.join();
    stopper.join();
}

int main(int argc, char **argv)
{
    options = options_of(argc, argv);
    an_operation_and_a_chain_are_awaited();
    a_stop_cancels_the_operation();
    a_suspended_coroutine_can_be_destroyed();
    a_handler_can_destroy_a_coroutine_of_the_same_batch();
    an_abandoned_open_leaks_no_descriptor();
    a_context_can_go_before_its_coroutines();
    a_full_context_resumes_with_the_error();
    stops_race_with_completions_on_other_threads();
}
