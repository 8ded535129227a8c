/* The programs of caio.hpp(3): example-1.inc is a coroutine, example-2.inc the body of a function. */
#include "check.hpp"
#include "task.hpp"

#include <poll.h>

#include <array>
#include <fstream>
#include <iostream>
#include <sstream>

using namespace std::chrono_literals;

#include "example-1.inc"

/* Never returns: a loop of a program that goes on. */
[[maybe_unused]] static void loop(int fd, std::array<char, 4096> &memory)
{
#include "example-2.inc"
}

int main()
{
    const char *path = "example-1.inc";
    std::stringstream file, shown;
    file << std::ifstream(path).rdbuf();
    std::streambuf *before = std::cout.rdbuf(shown.rdbuf());
    caio::context context;
    task shows = show(context, path);
    CHECK(context.run() && shows.done());
    std::cout.rdbuf(before);
    CHECK(!file.str().empty() && shown.str() == file.str());
}
