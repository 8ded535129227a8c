/* Shared by the C++ tests: a check that reports its place, and a file with known contents. */
#ifndef CHECK_HPP
#define CHECK_HPP
#include <caio.hpp>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#define CHECK(what) \
    do { \
        if (!(what)) { \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
            std::exit(1); \
        } \
    } while (0)

inline caio::file temporary(const std::string &contents)
{
    char name[] = "cpp-test.XXXXXX";
    caio::file made(::mkstemp(name));
    CHECK(made && ::unlink(name) == 0);
    CHECK(::pwrite(made.get(), contents.data(), contents.size(), 0) == static_cast<ssize_t>(contents.size()));
    return made;
}

struct pipe_pair {
    pipe_pair()
    {
        int ends[2];
        CHECK(::pipe2(ends, O_CLOEXEC) == 0);
        reader = caio::file(ends[0]);
        writer = caio::file(ends[1]);
    }
    caio::file reader, writer;
};

/* The backend of the first argument: auto, uring, linux or thread. */
inline caio::options options_of(int argc, char **argv)
{
    caio::options options;
    for (auto kind : {caio::backend::uring, caio::backend::linux_aio, caio::backend::thread})
        if (argc > 1 && caio::name_of(kind) == argv[1])
            options.backend = kind;
    return options;
}

/* Starts an operation and waits for its result. */
template <class Operation> auto run(caio::context &context, Operation operation)
{
    std::optional<typename Operation::result_type> got;
    auto request = context.start(std::move(operation), [&](auto result) { got = std::move(result); });
    CHECK(request);
    CHECK(context.run());
    CHECK(got.has_value());
    return *std::move(got);
}
#endif
