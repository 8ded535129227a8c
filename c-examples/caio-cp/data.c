/* Copies the bytes of a regular file, with many chunks in flight. The kernel copies a chunk from file to file
 * (copy_file_range(2)). After an error, and with --direct, a chunk is read, then written from the same buffer at the same
 * offset. The open files take turns to use a fixed number of chunks. */
#include "caio-cp.h"

enum { CHUNK = 128 * 1024, COPIED_CHUNK = 1024 * 1024, ALIGNMENT = 4096 };

struct chunk {
    struct request request;
    struct chunk *next_free;
    struct item *item;
    char *data;
    uint64_t offset, target_offset;
    uint32_t wanted, have, rest; /* rest: behind what is wanted, to be read and written too */
    bool direct; /* whether it was submitted with O_DIRECT */
};

static struct chunk *chunks, *free_chunks;
static struct queue hungry; /* of items that have a range to copy */

static void begin_chunk(struct chunk *chunk);
static void read_more(struct chunk *chunk);
static void write_out(struct chunk *chunk);

void data_open(void)
{
    chunks = checked_alloc(calloc(options.depth, sizeof *chunks));
    for (uint32_t i = 0; i < options.depth; i++) {
        chunks[i].next_free = free_chunks;
        free_chunks = &chunks[i];
    }
}

void data_close(void)
{
    for (uint32_t i = 0; i < options.depth; i++)
        free(chunks[i].data);
    free(chunks);
}

static void make_hungry(struct item *item)
{
    item->hungry = true;
    enqueue(&hungry, &item->request);
}

static struct item *take_hungry(void)
{
    struct item *item = (struct item *)dequeue(&hungry);
    item->hungry = false;
    return item;
}

static void use_direct(struct item *item, bool on)
{
    bool both = set_direct(item->fd[SOURCE], on) && set_direct(item->fd[TARGET], on);
    item->direct = both && on;
    if (!both && on)
        use_direct(item, false);
}

void data_begin(struct item *item)
{
    item->size = item->st.stx_size;
    item->end_of_file = UINT64_MAX;
    item->sparse = item->st.stx_blocks * 512 < item->size;
    item->copying = !options.direct && item->size > 0; /* of a file in /proc, copy_file_range(2) copies nothing */
    if (options.direct)
        use_direct(item, true);
    make_hungry(item);
}

/* In a sparse file, finds the next data. The item is not hungry meanwhile. */

static void seek(struct item *item, uint64_t offset, int whence, void (*done)(struct request *, int64_t))
{
    caio_op op = fd_op(CAIO_OP_SEEK, item->fd[SOURCE]);
    op.offset = offset;
    op.sys_flags = (uint32_t)whence;
    item->seeking = true;
    send_request(&item->request, op, done);
}

static void sought(struct item *item)
{
    item->seeking = false;
    make_hungry(item);
}

static void hole_found(struct request *request, int64_t hole)
{
    struct item *item = (struct item *)request;
    if (hole > 0 && (uint64_t)hole < item->size)
        item->extent_end = ((uint64_t)hole + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    sought(item);
}

/* The file is a hole up to its end. */
static void no_more_data(struct item *item)
{
    copied.bytes += item->size > item->next ? item->size - item->next : 0;
    if (item->end_of_file > item->size)
        item->end_of_file = item->size;
    item->next = item->end_of_file;
    sought(item);
}

static void data_found(struct request *request, int64_t data)
{
    struct item *item = (struct item *)request;
    if (data == -ENXIO) {
        no_more_data(item);
        return;
    }
    item->extent_end = UINT64_MAX;
    if (data < 0) { /* the file system does not support SEEK_DATA: reading finds the zeros */
        item->copying = false;
        sought(item);
        return;
    }
    if ((uint64_t)(data - data % ALIGNMENT) > item->next) {
        copied.bytes += (uint64_t)(data - data % ALIGNMENT) - item->next;
        item->next = (uint64_t)(data - data % ALIGNMENT);
    }
    seek(item, (uint64_t)data, SEEK_HOLE, hole_found);
}

static bool all_begun(const struct item *item)
{
    return item->failed || interrupted || item->next > item->size || item->next >= item->end_of_file;
}

/* Sets the next range to copy. Copying goes on until a chunk is short, so that files that grow, or that report no size (as
 * in /proc), are copied in full. */
static void next_range(struct item *item, struct chunk *chunk)
{
    uint64_t most = item->copying ? COPIED_CHUNK : CHUNK, left = item->sparse ? item->extent_end - item->next : most;
    chunk->offset = item->next;
    chunk->wanted = (uint32_t)(left < most ? left : most);
    chunk->have = chunk->rest = 0;
    item->next += chunk->wanted;
}

static void start_chunk(struct item *item)
{
    struct chunk *chunk = free_chunks;
    if (all_begun(item)) {
        if (item->chunks == 0)
            item_data_over(item);
        return;
    }
    if (item->sparse && item->next >= item->extent_end) {
        seek(item, item->next, SEEK_DATA, data_found);
        return;
    }
    next_range(item, chunk);
    free_chunks = chunk->next_free;
    chunk->item = item;
    item->chunks++;
    /* The kernel copies to a file one chunk at a time. */
    if (!item->copying)
        make_hungry(item);
    begin_chunk(chunk);
}

void data_feed(void)
{
    while (hungry.first && free_chunks)
        start_chunk(take_hungry());
}

static void chunk_over(struct chunk *chunk)
{
    struct item *item = chunk->item;
    chunk->next_free = free_chunks;
    free_chunks = chunk;
    item->chunks--;
    if (item->hungry || item->seeking)
        return;
    if (!all_begun(item))
        make_hungry(item);
    else if (item->chunks == 0)
        item_data_over(item);
}

/* A chunk that the kernel did not copy is larger than a buffer. */
static void chunk_done(struct chunk *chunk)
{
    copied.bytes += chunk->have;
    if (chunk->rest == 0 || chunk->have < chunk->wanted || chunk->item->failed) {
        chunk_over(chunk);
        return;
    }
    chunk->offset += chunk->wanted;
    chunk->wanted = chunk->rest < CHUNK ? chunk->rest : CHUNK;
    chunk->rest -= chunk->wanted;
    chunk->have = 0;
    read_more(chunk);
}

static void chunk_failed(struct chunk *chunk, int64_t error, const char *what, enum side side)
{
    item_fail(chunk->item, (int)-error, what, side);
    chunk_over(chunk);
}

/* If the file system does not support O_DIRECT, for the file or for this range, switches the file to buffered I/O and
 * returns true. */
static bool refused_direct(struct chunk *chunk, int64_t result)
{
    if (result != -EINVAL || !chunk->direct)
        return false;
    if (chunk->item->direct)
        use_direct(chunk->item, false);
    return true;
}

static bool is_zero(const char *data, uint32_t length)
{
    return data[0] == 0 && memcmp(data, data + 1, length - 1) == 0;
}

static void end_seen(struct item *item, uint64_t at)
{
    if (at < item->end_of_file)
        item->end_of_file = at;
}

static void file_grew(struct item *item, uint64_t at_least)
{
    if (item->size >= at_least)
        return;
    item->size = at_least;
    if (!item->hungry && !item->seeking && !item->copying)
        make_hungry(item);
}

static void chunk_read(struct request *request, int64_t result)
{
    struct chunk *chunk = (struct chunk *)request;
    struct item *item = chunk->item;
    if (refused_direct(chunk, result)) {
        read_more(chunk);
        return;
    }
    if (result < 0 || interrupted) {
        chunk_failed(chunk, result, "error reading '%s'", SOURCE);
        return;
    }
    chunk->have += (uint32_t)result;
    if (chunk->have < chunk->wanted && chunk->direct && result > 0 && result % ALIGNMENT == 0) {
        read_more(chunk); /* short, but not at the end of the file */
        return;
    }
    if (chunk->have < chunk->wanted)
        end_seen(item, chunk->offset + chunk->have);
    else
        file_grew(item, chunk->offset + chunk->have);
    if (chunk->have == 0 || item->failed || (item->sparse && is_zero(chunk->data, chunk->have)))
        chunk_done(chunk);
    else
        write_out(chunk);
}

static void read_more(struct chunk *chunk)
{
    struct item *item = chunk->item;
    caio_op op = fd_op(CAIO_OP_READ, item->fd[SOURCE]);
    if (!chunk->data)
        chunk->data = checked_alloc(aligned_alloc(ALIGNMENT, CHUNK));
    chunk->direct = item->direct;
    op.flags = chunk->direct ? 0 : CAIO_FLAG_FULL; /* FULL might retry at an unaligned offset */
    op.buf = chunk->data + chunk->have;
    op.len = chunk->wanted - chunk->have;
    op.offset = chunk->offset + chunk->have;
    send_request(&chunk->request, op, chunk_read);
}

static void chunk_written(struct request *request, int64_t result)
{
    struct chunk *chunk = (struct chunk *)request;
    struct item *item = chunk->item;
    if (refused_direct(chunk, result)) {
        write_out(chunk);
        return;
    }
    if (result < 0 || interrupted) {
        chunk_failed(chunk, result, "error writing '%s'", TARGET);
        return;
    }
    if (chunk->offset + (uint64_t)result > item->written_end)
        item->written_end = chunk->offset + (uint64_t)result;
    chunk_done(chunk);
}

/* A direct write is a whole number of blocks. The surplus of the last block is truncated at the end. */
static void write_out(struct chunk *chunk)
{
    caio_op op = fd_op(CAIO_OP_WRITE, chunk->item->fd[TARGET]);
    uint32_t length = chunk->have;
    chunk->direct = chunk->item->direct;
    if (chunk->direct && length % ALIGNMENT != 0) {
        length += ALIGNMENT - length % ALIGNMENT;
        memset(chunk->data + chunk->have, 0, length - chunk->have);
    }
    op.flags = CAIO_FLAG_FULL;
    op.buf = chunk->data;
    op.len = length;
    op.offset = chunk->offset;
    send_request(&chunk->request, op, chunk_written);
}

/* Whatever the error, reading and writing may succeed, or they report it. */
static void read_instead(struct chunk *chunk)
{
    chunk->item->copying = false;
    if (chunk->wanted > CHUNK) {
        chunk->rest = chunk->wanted - CHUNK;
        chunk->wanted = CHUNK;
    }
    read_more(chunk);
}

static void chunk_copied(struct request *request, int64_t result)
{
    struct chunk *chunk = (struct chunk *)request;
    struct item *item = chunk->item;
    if (interrupted) {
        chunk_failed(chunk, -ECANCELED, "error writing '%s'", TARGET);
        return;
    }
    if (result < 0) {
        read_instead(chunk);
        return;
    }
    chunk->have = (uint32_t)result;
    if (result > 0 && chunk->offset + (uint64_t)result > item->written_end)
        item->written_end = chunk->offset + (uint64_t)result;
    if (chunk->have < chunk->wanted)
        end_seen(item, chunk->offset + chunk->have);
    else
        file_grew(item, chunk->offset + chunk->have);
    chunk_done(chunk);
}

static void begin_chunk(struct chunk *chunk)
{
    const struct item *item = chunk->item;
    caio_op op = fd_op(CAIO_OP_COPY_RANGE, item->fd[SOURCE]);
    if (!item->copying) {
        read_more(chunk);
        return;
    }
    chunk->target_offset = chunk->offset;
    op.flags = CAIO_FLAG_FULL;
    op.offset = chunk->offset;
    op.len = chunk->wanted;
    op.mode = (uint32_t)item->fd[TARGET];
    op.buf2 = &chunk->target_offset;
    send_request(&chunk->request, op, chunk_copied);
}
