/* caio/operations.hpp - builders of operations on descriptors, chains; caio/paths.hpp has those on paths and attributes
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each function returns one operation for context::start or context::async. The operation owns its paths, iovec arrays and
 * status structures. Data is one of:
 * - borrowed: an lvalue or a view. The caller keeps it valid and untouched until the operation completes.
 * - owned: an rvalue container, such as std::move(vector) or a caio::buffer. The operation returns it with its result. */

#ifndef CAIO_OPERATIONS_HPP
#define CAIO_OPERATIONS_HPP

#include <caio/memory.hpp>
#include <caio/result.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/uio.h>

namespace caio {

/* The current position of a file. Use it for pipes, sockets and terminals. */
inline constexpr std::uint64_t current_position = CAIO_OFFSET_CURRENT;

/* In a chain: the descriptor that the nearest open before it in this chain opened. */
inline constexpr int opened = CAIO_FD_OPENED;

/* The outcome of an operation that owned its memory. */
template <class Memory> struct transferred {
    result<std::size_t> count; /* bytes moved, or the error */
    Memory memory;
    explicit operator bool() const noexcept { return count.has_value(); }
};

namespace detail {

/* The parts that all operations share. A context calls `prepare` when the operation has its final address, and `finish`
 * with the result of its event. */
template <class Derived> class basic_operation {
public:
    /* Cancels the operation after `limit`, from submission or from its start in a chain. */
    Derived timeout(std::chrono::nanoseconds limit) &&
    {
        raw_.timeout_ns = static_cast<std::uint64_t>(std::max<std::int64_t>(limit.count(), 1));
        return take();
    }
    /* A hint: a value of ioprio_set(2). */
    Derived priority(std::uint16_t value) &&
    {
        raw_.ioprio = value;
        return take();
    }
    bool closes_opened() const noexcept { return raw_.opcode == CAIO_OP_CLOSE && raw_.fd == opened; }

protected:
    explicit basic_operation(std::uint8_t opcode, int fd = 0) noexcept
    {
        raw_.opcode = opcode;
        raw_.fd = fd;
    }
    Derived take() { return std::move(static_cast<Derived &>(*this)); }
    static void *address(const void *memory) noexcept { return const_cast<void *>(memory); }
    caio_op raw_ = {};
};

/* Operations that can move less than they were asked for. */
template <class Derived> class moving_operation : public basic_operation<Derived> {
public:
    /* Continues after a short transfer, until all is moved or the file ends. */
    Derived full() &&
    {
        this->raw_.flags |= CAIO_FLAG_FULL;
        return this->take();
    }

protected:
    moving_operation(std::uint8_t opcode, descriptor fd, std::uint64_t offset) noexcept
        : basic_operation<Derived>(opcode, fd.get())
    {
        this->raw_.offset = offset;
    }
};

/* read, write, readv and writev. */
template <class Derived> class transfer_operation : public moving_operation<Derived> {
public:
    /* RWF_* flags of preadv2(2) and pwritev2(2). */
    Derived flags(std::uint32_t value) &&
    {
        this->raw_.sys_flags = value;
        return this->take();
    }

protected:
    using moving_operation<Derived>::moving_operation;
};

/* An operation on one piece of memory, borrowed or owned. */
template <class Base, class Memory> class memory_operation : public Base {
public:
    static constexpr bool borrows = std::is_same_v<Memory, bytes> || std::is_same_v<Memory, const_bytes>;
    using result_type = std::conditional_t<borrows, result<std::size_t>, transferred<Memory>>;

    const caio_op &prepare() noexcept
    {
        this->raw_.buf = this->address(std::data(memory_));
        this->raw_.len = std::size(memory_) * sizeof(element_of<Memory>);
        return this->raw_;
    }
    result_type finish(std::int64_t value)
    {
        if constexpr (borrows)
            return count_of(value);
        else
            return {count_of(value), std::move(memory_)};
    }

protected:
    template <class... Arguments>
    explicit memory_operation(Memory memory, Arguments... arguments) noexcept : Base(arguments...), memory_(std::move(memory))
    {
    }

private:
    Memory memory_;
};

} // namespace detail

/* A read or write of one piece of memory, borrowed or owned. */
template <class Memory>
class transfer final : public detail::memory_operation<detail::transfer_operation<transfer<Memory>>, Memory> {
public:
    transfer(std::uint8_t opcode, descriptor fd, Memory memory, std::uint64_t offset) noexcept
        : transfer::memory_operation(std::move(memory), opcode, fd, offset)
    {
    }
};

/* A read or write of several pieces of borrowed memory. The operation owns the iovec array. */
class vectored final : public detail::transfer_operation<vectored> {
public:
    static constexpr bool borrows = true;
    using result_type = result<std::size_t>;

    template <class View>
    vectored(std::uint8_t opcode, descriptor fd, const std::vector<View> &pieces, std::uint64_t offset)
        : transfer_operation(opcode, fd, offset)
    {
        for (const View &piece : pieces)
            vectors_.push_back({address(piece.data()), piece.size()});
    }
    const caio_op &prepare() noexcept
    {
        raw_.buf = vectors_.data();
        raw_.len = vectors_.size();
        return raw_;
    }
    result_type finish(std::int64_t value) { return detail::count_of(value); }

private:
    std::vector<iovec> vectors_;
};

/* Moves bytes from one descriptor to another. */
class copy_operation final : public detail::moving_operation<copy_operation> {
public:
    static constexpr bool borrows = false;
    using result_type = result<std::size_t>;

    copy_operation(std::uint8_t opcode, descriptor from, std::uint64_t offset, descriptor to, std::uint64_t length) noexcept
        : moving_operation(opcode, from, offset)
    {
        raw_.mode = static_cast<std::uint32_t>(to.get());
        raw_.len = length;
    }
    copy_operation to(std::uint64_t offset, unsigned flags = 0) &&
    {
        to_ = offset;
        raw_.sys_flags = flags;
        return take();
    }
    const caio_op &prepare() noexcept
    {
        raw_.buf2 = to_ == current_position ? nullptr : &to_;
        return raw_;
    }
    result_type finish(std::int64_t value) { return detail::count_of(value); }

private:
    std::uint64_t to_ = current_position;
};

/* Moves the current position of a file. */
class seek_operation final : public detail::basic_operation<seek_operation> {
public:
    static constexpr bool borrows = false;
    using result_type = result<std::uint64_t>;

    seek_operation(descriptor fd, std::int64_t offset, unsigned whence) noexcept : basic_operation(CAIO_OP_SEEK, fd.get())
    {
        raw_.offset = static_cast<std::uint64_t>(offset);
        raw_.sys_flags = whence;
    }
    const caio_op &prepare() noexcept { return raw_; }
    result_type finish(std::int64_t value) { return detail::result_of(value, static_cast<std::uint64_t>(value)); }
};

/* An operation with at most two paths, whose result is success or an error. */
class command final : public detail::basic_operation<command> {
public:
    static constexpr bool borrows = false;
    using result_type = result<void>;

    explicit command(std::uint8_t opcode, descriptor fd = 0) noexcept : basic_operation(opcode, fd.get()) {}
    command range(std::uint64_t offset, std::uint64_t length) &&
    {
        raw_.offset = offset;
        raw_.len = length;
        return take();
    }
    command path(std::string only) &&
    {
        first_ = std::move(only);
        paths_ = 1;
        return take();
    }
    command paths(std::string first, std::string second) &&
    {
        first_ = std::move(first);
        second_ = std::move(second);
        paths_ = 2;
        return take();
    }
    command how(std::uint32_t flags, std::uint32_t mode = 0) &&
    {
        raw_.sys_flags = flags;
        raw_.mode = mode;
        return take();
    }
    /* The directory of the second path. */
    command into(descriptor directory) &&
    {
        raw_.flags |= CAIO_FLAG_DIR2;
        raw_.offset = static_cast<std::uint64_t>(std::int64_t{directory.get()});
        return take();
    }
    const caio_op &prepare() noexcept
    {
        raw_.buf = paths_ > 0 ? first_.data() : nullptr;
        raw_.buf2 = paths_ > 1 ? second_.data() : nullptr;
        return raw_;
    }
    result_type finish(std::int64_t value) noexcept { return error_of(value); }

private:
    std::string first_, second_;
    int paths_ = 0;
};

/* What open does beyond flags and a mode: struct open_how of openat2(2). */
struct open_how {
    std::uint64_t flags = 0;   /* O_* */
    std::uint64_t mode = 0;    /* of a new file */
    std::uint64_t resolve = 0; /* RESOLVE_* */
};

/* Opens a file. The result owns the descriptor; if no handler takes it, it is closed. */
class open_operation final : public detail::basic_operation<open_operation> {
public:
    static constexpr bool borrows = false;
    using result_type = result<file>;

    open_operation(descriptor directory, std::string path, int flags, ::mode_t mode) noexcept
        : basic_operation(CAIO_OP_OPENAT, directory.get()), path_(std::move(path))
    {
        raw_.sys_flags = static_cast<std::uint32_t>(flags);
        raw_.mode = mode;
    }
    open_operation(descriptor directory, std::string path, const open_how &how) noexcept
        : basic_operation(CAIO_OP_OPENAT2, directory.get()), path_(std::move(path)), how_(how)
    {
        raw_.len = sizeof how_;
    }
    const caio_op &prepare() noexcept
    {
        raw_.buf = path_.data();
        raw_.buf2 = raw_.opcode == CAIO_OP_OPENAT2 ? &how_ : nullptr;
        return raw_;
    }
    /* In a chain that closes the file itself, the result has no descriptor. */
    result_type finish(std::int64_t value)
    {
        if (value < 0)
            return error_of(value);
        return closed_ ? file() : file(static_cast<int>(value));
    }
    void closed_by_chain() noexcept { closed_ = true; }

private:
    std::string path_;
    open_how how_;
    bool closed_ = false;
};

/* Closes a file. If it is cancelled, the destructor of the operation closes the descriptor. */
class close_operation final : public detail::basic_operation<close_operation> {
public:
    static constexpr bool borrows = false;
    using result_type = result<void>;

    explicit close_operation(file open) noexcept : basic_operation(CAIO_OP_CLOSE, open.get()), file_(std::move(open)) {}
    const caio_op &prepare() noexcept { return raw_; }
    result_type finish(std::int64_t value) noexcept
    {
        if (value != -ECANCELED)
            file_.release();
        return error_of(value);
    }

private:
    file file_;
};

/* Any operation of caio.h. The caller keeps its memory valid until it completes; `user_data` is ignored. */
class raw_operation final : public detail::basic_operation<raw_operation> {
public:
    static constexpr bool borrows = true;
    using result_type = result<std::int64_t>;

    explicit raw_operation(const caio_op &operation) noexcept : basic_operation(operation.opcode) { raw_ = operation; }
    const caio_op &prepare() noexcept { return raw_; }
    result_type finish(std::int64_t value) noexcept { return detail::result_of(value, value); }
};

namespace detail {

/* The result of an operation that was never submitted. */
template <class Operation> typename Operation::result_type refuse(Operation &operation, std::error_code error)
{
    return operation.finish(-error.value());
}
inline result<void> refuse(close_operation &, std::error_code error) { return error; }

} // namespace detail

/* Several operations, each of which starts only after the one before it succeeded in full.
 * The result is a std::tuple with one result for each; those that did not start have ECANCELED. */
template <class... Operations> struct chain {
    explicit chain(Operations... of) : operations(std::move(of)...)
    {
        mark_opens<sizeof...(Operations)>(false);
    }
    std::tuple<Operations...> operations;

private:
    /* From the last operation to the first: an open whose file the chain closes yields no descriptor. */
    template <std::size_t Count> void mark_opens(bool closes) noexcept
    {
        if constexpr (Count > 0) {
            auto &operation = std::get<Count - 1>(operations);
            if constexpr (std::is_same_v<std::decay_t<decltype(operation)>, open_operation>) {
                if (closes)
                    operation.closed_by_chain();
                closes = false;
            }
            mark_opens<Count - 1>(closes || operation.closes_opened());
        }
    }
};

/* Reads at most the size of `memory` at `offset`. Borrows `memory`. See CAIO_OP_READ. */
template <class T, std::enable_if_t<detail::is_borrowed<T>, int> = 0>
transfer<bytes> read(descriptor fd, T &&memory, std::uint64_t offset = 0) noexcept
{
    return {CAIO_OP_READ, fd, bytes(memory), offset};
}
/* Reads into `memory`, which the operation owns until it completes. */
template <class T, std::enable_if_t<detail::is_owned<T>, int> = 0>
transfer<T> read(descriptor fd, T &&memory, std::uint64_t offset = 0) noexcept
{
    return {CAIO_OP_READ, fd, std::move(memory), offset};
}
/* Writes at most `memory` at `offset`. Borrows `memory`. See CAIO_OP_WRITE. */
template <class T, std::enable_if_t<detail::is_borrowed<T>, int> = 0>
transfer<const_bytes> write(descriptor fd, T &&memory, std::uint64_t offset = 0) noexcept
{
    return {CAIO_OP_WRITE, fd, const_bytes(memory), offset};
}
/* Writes `memory`, which the operation owns until it completes. */
template <class T, std::enable_if_t<detail::is_owned<T>, int> = 0>
transfer<T> write(descriptor fd, T &&memory, std::uint64_t offset = 0) noexcept
{
    return {CAIO_OP_WRITE, fd, std::move(memory), offset};
}
/* Reads into several pieces of borrowed memory: caio::readv(fd, {header, body}). See CAIO_OP_READV. */
inline vectored readv(descriptor fd, const std::vector<bytes> &pieces, std::uint64_t offset = 0)
{
    return {CAIO_OP_READV, fd, pieces, offset};
}
/* Writes several pieces of borrowed memory. See CAIO_OP_WRITEV. */
inline vectored writev(descriptor fd, const std::vector<const_bytes> &pieces, std::uint64_t offset = 0)
{
    return {CAIO_OP_WRITEV, fd, pieces, offset};
}

/* Does nothing. */
inline command nop() noexcept { return command(CAIO_OP_NOP); }
/* Syncs data and metadata. It covers the writes that completed before it was submitted. */
inline command fsync(descriptor fd) noexcept { return command(CAIO_OP_FSYNC, fd); }
/* Like fsync, without metadata that is not needed to read the data. */
inline command fdatasync(descriptor fd) noexcept { return command(CAIO_OP_FDSYNC, fd); }
/* See sync_file_range(2). */
inline command sync_range(descriptor fd, std::uint64_t offset, std::uint64_t length, unsigned flags)
{
    return command(CAIO_OP_SYNC_RANGE, fd).range(offset, length).how(flags);
}
/* Allocates or changes the space of a range; `flags` are FALLOC_FL_*. See fallocate(2). */
inline command allocate(descriptor fd, std::uint64_t offset, std::uint64_t length, unsigned flags = 0)
{
    return command(CAIO_OP_ALLOCATE, fd).range(offset, length).how(flags);
}
/* Changes the size of a file. */
inline command truncate(descriptor fd, std::uint64_t size) { return command(CAIO_OP_TRUNCATE, fd).range(size, 0); }
/* Opens `path`, relative to `directory`; `flags` are O_*. See openat(2). */
inline open_operation open(std::string path, int flags, ::mode_t mode = 0666, descriptor directory = AT_FDCWD) noexcept
{
    return open_operation(directory, std::move(path), flags, mode);
}
/* Closes a file. */
inline close_operation close(file open) noexcept { return close_operation(std::move(open)); }
/* Opens `path` as openat2(2) does: caio::open(path, caio::open_how{O_RDONLY, 0, RESOLVE_BENEATH}, directory). */
inline open_operation open(std::string path, const open_how &how, descriptor directory = AT_FDCWD) noexcept
{
    return open_operation(directory, std::move(path), how);
}
/* Copies at most `length` bytes between files. `to_offset` may be current_position. See copy_file_range(2). */
inline copy_operation copy_range(descriptor from, std::uint64_t offset, descriptor to, std::uint64_t to_offset, std::uint64_t length)
{
    return copy_operation(CAIO_OP_COPY_RANGE, from, offset, to, length).to(to_offset);
}
/* Sends at most `length` bytes of a file to a socket, a pipe or a file. See sendfile(2). */
inline copy_operation sendfile(descriptor from, std::uint64_t offset, descriptor to, std::uint64_t length) noexcept
{
    return copy_operation(CAIO_OP_SENDFILE, from, offset, to, length);
}
/* Moves at most `length` bytes; one of the two is a pipe, at current_position. `flags` are SPLICE_F_*. See splice(2). */
inline copy_operation splice(descriptor from, std::uint64_t offset, descriptor to, std::uint64_t to_offset, std::uint64_t length,
                             unsigned flags = 0)
{
    return copy_operation(CAIO_OP_SPLICE, from, offset, to, length).to(to_offset, flags);
}
/* Moves the current position, or finds data or a hole; `whence` is SEEK_*. See lseek(2). */
inline seek_operation seek(descriptor fd, std::int64_t offset, unsigned whence) noexcept
{
    return seek_operation(fd, offset, whence);
}
/* Syncs the file system that holds a file. See syncfs(2). */
inline command syncfs(descriptor fd) noexcept { return command(CAIO_OP_SYNCFS, fd); }
/* Announces how a range will be used; `advice` is POSIX_FADV_*. See posix_fadvise(2). */
inline command advise(descriptor fd, std::uint64_t offset, std::uint64_t length, unsigned advice)
{
    return command(CAIO_OP_FADVISE, fd).range(offset, length).how(advice);
}
/* In a chain: closes the file that the chain opened, whatever became of the operations between. */
inline command close_opened() noexcept { return command(CAIO_OP_CLOSE, opened); }
/* An operation of caio.h without a builder of its own. */
inline raw_operation raw(const caio_op &operation) noexcept { return raw_operation(operation); }

} // namespace caio

#endif
