/* The builders of caio.hpp: one for each opcode, with valid fields, and with the effect of the system call. `opcodes.inc` has a line
 * OPCODE(name) for each opcode of caio.json. */
#include "check.hpp"

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <sys/socket.h>

using std::errc;

static caio::options options;

/* The opcodes that had a builder. */
static std::set<unsigned> built;

/* Notes the opcode of an operation, and checks that submit would accept its fields. */
template <class Operation> static void valid(Operation operation)
{
    built.insert(operation.prepare().opcode);
    std::string why;
    caio::chain<Operation> alone(std::move(operation));
    bool accepted = caio::check(alone, &why).has_value();
    if (!accepted)
        std::fprintf(stderr, "%s\n", why.c_str());
    CHECK(accepted);
}

static void builders_set_only_the_fields_that_their_opcode_uses()
{
    char text[16];
    const std::array<char, 4> constant = {'t', 'e', 'x', 't'};
    valid(caio::nop());
    valid(caio::read(0, text, 7).full().flags(1).timeout(std::chrono::seconds(1)).priority(1));
    valid(caio::write(0, constant, caio::current_position));
    valid(caio::fsync(0)), valid(caio::fdatasync(0)), valid(caio::syncfs(0));
    valid(caio::readv(0, {text}, 7).full()), valid(caio::writev(0, {constant}, 7).flags(1));
    valid(caio::sync_range(0, 1, 2, 3)), valid(caio::allocate(0, 1, 2, 3)), valid(caio::truncate(0, 1)), valid(caio::advise(0, 1, 2, 3));
    valid(caio::open("a", O_RDWR | O_CREAT, 0600)), valid(caio::open("a", caio::open_how{O_RDONLY, 0, 8}, 3));
    valid(caio::close(caio::file(::dup(0))));
    valid(caio::stat("a", AT_SYMLINK_NOFOLLOW)), valid(caio::stat_fd(0)), valid(caio::statfs(0));
    valid(caio::rename("a", "b", 1)), valid(caio::rename_between(3, "a", AT_FDCWD, "b"));
    valid(caio::link("a", "b", AT_SYMLINK_FOLLOW)), valid(caio::link_between(AT_FDCWD, "a", 3, "b"));
    valid(caio::unlink("a", AT_REMOVEDIR)), valid(caio::mkdir("a")), valid(caio::mknod("a", S_IFCHR | 0600, 0x103));
    valid(caio::read_link("a")), valid(caio::symlink("a", "b")), valid(caio::read_dir(0, text)), valid(caio::read_dir(0, caio::buffer(64)));
    valid(caio::copy_range(0, 1, 2, 3, 4).full()), valid(caio::copy_range(0, 1, 2, caio::current_position, 4));
    valid(caio::sendfile(0, 1, 2, 4).full()), valid(caio::splice(0, 1, 2, caio::current_position, 4, 1).full());
    valid(caio::seek(0, -1, SEEK_END));
    valid(caio::chmod("a", 0600, AT_SYMLINK_NOFOLLOW)), valid(caio::chown("a", 1, static_cast<::gid_t>(-1), AT_SYMLINK_NOFOLLOW));
    valid(caio::set_times("a", {1, 2}, {3, UTIME_OMIT}, AT_SYMLINK_NOFOLLOW)), valid(caio::access("a", R_OK, AT_EACCESS));
    valid(caio::get_xattr(0, "user.a")), valid(caio::set_xattr(0, "user.a", "value", 1));
    valid(caio::list_xattr(0)), valid(caio::remove_xattr(0, "user.a"));
}

static void every_opcode_of_the_header_has_a_builder()
{
#define OPCODE(name) \
    if (built.count(name) == 0) { \
        std::fprintf(stderr, "no builder for %s\n", #name); \
        std::exit(1); \
    } \
    last = name;
    unsigned last = 0;
#include "opcodes.inc"
    CHECK(last >= CAIO_OP_FSTATFS && built.size() == last + 1);
}

/* A directory to work in, with the path of each name. */
struct place {
    place() { CHECK(::mkdtemp(name)); }
    std::string operator/(const char *file) const { return std::string(name) + "/" + file; }
    char name[16] = "cpp-dir.XXXXXX";
};

static void files_are_made_changed_and_removed(caio::context &context)
{
    place in;
    CHECK(run(context, caio::nop()));
    CHECK(run(context, caio::mkdir(in / "made")));
    caio::file file = run(context, caio::open(in / "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600)).value();
    CHECK(run(context, caio::allocate(file, 0, 8192)));
    CHECK(run(context, caio::truncate(file, 5000)));
    CHECK(run(context, caio::fsync(file)) && run(context, caio::fdatasync(file)) && run(context, caio::syncfs(file)));
    CHECK(run(context, caio::sync_range(file, 0, 4096, SYNC_FILE_RANGE_WRITE)));
    CHECK(run(context, caio::advise(file, 0, 4096, POSIX_FADV_WILLNEED)));
    CHECK(*run(context, caio::seek(file, -1000, SEEK_END)) == 4000 && ::lseek(file.get(), 0, SEEK_CUR) == 4000);
    CHECK(run(context, caio::stat_fd(file))->stx_size == 5000 && run(context, caio::statfs(file))->f_bsize > 0);
    CHECK(run(context, caio::rename(in / "file", in / "made/moved")));
    CHECK(run(context, caio::unlink(in / "made/moved")));
    CHECK(run(context, caio::unlink(in / "made", AT_REMOVEDIR)) && run(context, caio::unlink(in.name, AT_REMOVEDIR)));
    int number = file.get();
    CHECK(run(context, caio::close(std::move(file))) && ::fcntl(number, F_GETFD) == -1);
    caio_op op = {};
    op.opcode = CAIO_OP_NOP;
    CHECK(*run(context, caio::raw(op)) == 0);
}

static void links_and_attributes(caio::context &context)
{
    place in;
    caio::file directory = run(context, caio::open(in.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)).value();
    caio::open_how how = {O_RDWR | O_CREAT | O_CLOEXEC, 0600, 8 /* RESOLVE_BENEATH */};
    CHECK(run(context, caio::open("../out", how, directory)).error() == errc::cross_device_link);
    caio::file file = run(context, caio::open("file", how, directory)).value();
    CHECK(run(context, caio::link_between(AT_FDCWD, in / "file", directory, "link")) && run(context, caio::link(in / "link", in / "third")));
    CHECK(run(context, caio::symlink("link", "symbolic", directory)));
    CHECK(*run(context, caio::read_link("symbolic", directory)) == "link" && *run(context, caio::read_link(in / "symbolic", AT_FDCWD, 2)) == "li");
    CHECK(run(context, caio::chmod(in / "symbolic", 0640)) && run(context, caio::chown("link", ::getuid(), ::getgid(), 0, directory)));
    CHECK(run(context, caio::set_times("link", {1, 2}, {3, 4}, 0, directory)));
    auto status = run(context, caio::stat(in / "file"));
    CHECK((status->stx_mode & 0777) == 0640 && status->stx_nlink == 3 && status->stx_atime.tv_sec == 1 && status->stx_mtime.tv_nsec == 4);
    CHECK(run(context, caio::access(in / "file", R_OK | W_OK)));
    CHECK(run(context, caio::access("none", F_OK, 0, directory)).error() == errc::no_such_file_or_directory);
    CHECK(run(context, caio::mknod("fifo", S_IFIFO | 0600, 0, directory)) && S_ISFIFO(run(context, caio::stat(in / "fifo"))->stx_mode));
    CHECK(run(context, caio::rename_between(AT_FDCWD, in / "third", directory, "renamed")));

    std::map<std::string, unsigned char> names;
    caio::buffer room(4096);
    for (;;) {
        std::size_t count = run(context, caio::read_dir(directory, room)).value();
        if (count == 0)
            break;
        for (caio::directory_entry entry : caio::entries(room, count)) {
            CHECK(entry.inode != 0);
            names.emplace(entry.name, entry.type);
        }
    }
    CHECK(names.size() == 7 && names.count("renamed") && names["symbolic"] == 10 && names["fifo"] == 1 && names["."] == 4);
    for (const char *name : {"file", "link", "symbolic", "renamed", "fifo"})
        CHECK(run(context, caio::unlink(name, 0, directory)));
    CHECK(run(context, caio::unlink(in.name, AT_REMOVEDIR)));
}

static void extended_attributes(caio::context &context)
{
    caio::file file = temporary("");
    auto set = run(context, caio::set_xattr(file, "user.test", std::string("a\0value", 7)));
    if (set.error() == errc::not_supported)
        return;
    CHECK(set && *run(context, caio::get_xattr(file, "user.test")) == std::string_view("a\0value", 7));
    CHECK(run(context, caio::get_xattr(file, "user.test", 2)).error() == errc::result_out_of_range);
    CHECK(run(context, caio::list_xattr(file))->find(std::string_view("user.test\0", 10)) != std::string::npos);
    CHECK(run(context, caio::remove_xattr(file, "user.test")) && !run(context, caio::get_xattr(file, "user.test")));
}

static void bytes_move_between_descriptors(caio::context &context)
{
    caio::file from = temporary("Hello world"), to = temporary("...........");
    char text[16] = {};
    CHECK(*run(context, caio::copy_range(from, 6, to, 1, 100).full()) == 5);
    CHECK(*run(context, caio::copy_range(from, 0, to, caio::current_position, 1)) == 1 && ::lseek(to.get(), 0, SEEK_CUR) == 1);
    CHECK(*run(context, caio::read(to, text)) == 11 && std::string_view(text) == "Hworld.....");
    int ends[2];
    CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    caio::file left(ends[0]), right(ends[1]);
    CHECK(*run(context, caio::sendfile(from, 6, left, 5).full()) == 5 && ::read(right.get(), text, 16) == 5 && text[0] == 'w');
    pipe_pair pipe;
    CHECK(*run(context, caio::splice(from, 4, pipe.writer, caio::current_position, 7)) == 7);
    CHECK(*run(context, caio::splice(pipe.reader, caio::current_position, to, 0, 7)) == 7 && ::pread(to.get(), text, 7, 0) == 7 && text[1] == ' ');
}

static void a_chain_names_the_file_that_it_opened_in_every_place(caio::context &context)
{
    place in;
    caio::file file = temporary("Hello world");
    std::string path = "/proc/self/fd/" + std::to_string(file.get());
    std::string why;
    auto stray = caio::chain(caio::nop(), caio::fsync(caio::opened));
    CHECK(caio::check(stray, &why).error() == errc::invalid_argument && why.find("fd") != std::string::npos);

    bool called = false;
    auto copy = caio::chain(caio::open(in / "copy", caio::open_how{O_WRONLY | O_CREAT, 0600, 0}), caio::copy_range(file, 0, caio::opened, 0, 11).full(),
                            caio::stat_fd(caio::opened), caio::close_opened(), caio::open(in.name, O_RDONLY),
                            caio::link_between(AT_FDCWD, in / "copy", caio::opened, "link"), caio::fsync(caio::opened), caio::close_opened());
    CHECK(caio::check(copy, &why));
    auto request = context.start(std::move(copy), [&](auto results) {
        auto &[made, copied, status, closed, listed, linked, synced, gone] = results;
        CHECK(made && !*made && *copied == 11 && status->stx_size == 11 && closed); /* the chain closed it: no descriptor */
        CHECK(listed && !*listed && linked && synced && gone);
        called = true;
    });
    CHECK(request && context.run() && called);
    CHECK(run(context, caio::stat(in / "link"))->stx_nlink == 2);
    CHECK(run(context, caio::unlink(in / "copy")) && run(context, caio::unlink(in / "link")) && ::rmdir(in.name) == 0);
}

static void a_context_tells_what_it_supports()
{
    caio::context context(options);
    CHECK(context.supports(CAIO_OP_READ) && context.supports(CAIO_OP_FSTATFS) && !context.supports(255));
    CHECK(context.event_handle().error() == errc::function_not_supported);
}

int main(int argc, char **argv)
{
    options = options_of(argc, argv);
    builders_set_only_the_fields_that_their_opcode_uses();
    every_opcode_of_the_header_has_a_builder();
    a_context_tells_what_it_supports();
    caio::context context(options);
    files_are_made_changed_and_removed(context);
    links_and_attributes(context);
    extended_attributes(context);
    bytes_move_between_descriptors(context);
    a_chain_names_the_file_that_it_opened_in_every_place(context);
}
