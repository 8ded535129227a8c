/* caio.hpp - libcaio for C++17 and later, header-only
 * SPDX-License-Identifier: Apache-2.0
 *
 *     caio::context context;                                     // one for each event loop
 *     auto request = context.start(caio::read(fd, memory), [](caio::result<std::size_t> count) { ... });
 *     context.run();                                             // or watch context.descriptor() and call context.poll()
 *
 *     auto count = co_await context.async(caio::read(fd, memory), stop_token);     // C++20
 *
 * See caio.hpp(3), and caio/asio.hpp for Boost.Asio. */

#ifndef CAIO_HPP
#define CAIO_HPP

#include <caio/context.hpp>
#include <caio/coroutine.hpp>
#include <caio/memory.hpp>
#include <caio/operations.hpp>
#include <caio/paths.hpp>
#include <caio/result.hpp>

#endif
