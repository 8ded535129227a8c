/* dlclose(3) does not unmap the library, whether it is idle or has operations in flight; these complete.
 * Arguments: backend, path of the library. */
#include "check.h"
#ifndef _WIN32
#include <dlfcn.h>
#endif
#include <pthread.h>

typedef int (*new_function)(const caio_options *, caio_ctx **);
typedef int (*submit_function)(caio_ctx *, const caio_op *, uint32_t);
typedef int (*wait_function)(caio_ctx *, caio_event *, uint32_t, uint32_t, int64_t);
typedef void (*free_function)(caio_ctx *);

/* ISO C does not convert an object pointer to a function pointer. Copy the bytes, which are the same. */
static void find(void *library, const char *name, void *function, size_t size)
{
    void *symbol = dlsym(library, name);
    CHECK(symbol != NULL && size == sizeof symbol);
    memcpy(function, &symbol, size);
}

struct functions {
    new_function new_ctx;
    submit_function submit;
    wait_function wait_for;
    free_function free_ctx;
    caio_options options;
};

static void *load(const char *path, struct functions *the)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    find(library, "caio_ctx_new", &the->new_ctx, sizeof the->new_ctx);
    find(library, "caio_ctx_submit", &the->submit, sizeof the->submit);
    find(library, "caio_ctx_wait", &the->wait_for, sizeof the->wait_for);
    find(library, "caio_ctx_free", &the->free_ctx, sizeof the->free_ctx);
    return library;
}

static void close_and_find_again(void *library, const char *path)
{
    EXPECT(dlclose(library), 0);
    CHECK(dlopen(path, RTLD_NOW | RTLD_NOLOAD) == library);
    EXPECT(dlclose(library), 0);
}

/* Starts a worker thread; caio_ctx_free ends it. */
static void *use_and_free(void *argument)
{
    struct functions *the = (struct functions *)argument;
    caio_op op = make_op(CAIO_OP_FDSYNC, -1);
    caio_event event;
    caio_ctx *ctx;
    EXPECT(the->new_ctx(&the->options, &ctx), 0);
    EXPECT(the->submit(ctx, &op, 1), 1);
    EXPECT(the->wait_for(ctx, &event, 1, 1, 60 * SECOND), 1);
    EXPECT(event.result, -EBADF);
    the->free_ctx(ctx);
    return NULL;
}

static void work_in_flight(struct functions *the, const char *path)
{
    caio_ctx *ctx;
    caio_event event;
    char byte = 0;
    int ends[2];
    caio_op op;
    void *library = load(path, the);
    EXPECT(the->new_ctx(&the->options, &ctx), 0);
    EXPECT(pipe2(ends, O_CLOEXEC), 0);
    op = transfer(CAIO_OP_READ, ends[0], &byte, 1, CAIO_OFFSET_CURRENT);
    EXPECT(the->submit(ctx, &op, 1), 1);
    close_and_find_again(library, path);
    CHECK(write(ends[1], "x", 1) == 1);
    EXPECT(the->wait_for(ctx, &event, 1, 1, 60 * SECOND), 1);
    EXPECT(event.result, 1);
    EXPECT(byte, 'x');
    the->free_ctx(ctx);
}

int main(int argc, char **argv)
{
    struct functions the;
    pthread_t user;
    void *library;
    CHECK(argc > 2);
    memset(&the, 0, sizeof the);
    the.options.size = sizeof the.options;
    the.options.backend = backend_argument(argc, argv);
    the.options.flags = CAIO_CTX_NO_INLINE;
    library = load(argv[2], &the);
    /* Use a thread of its own: the remaining threads then have no thread-local data that keeps the library mapped. */
    EXPECT(pthread_create(&user, NULL, use_and_free, &the), 0);
    EXPECT(pthread_join(user, NULL), 0);
    close_and_find_again(library, argv[2]);
    work_in_flight(&the, argv[2]);
    return 0;
}
