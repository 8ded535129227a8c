/* Copies the bytes of a regular file, with many chunks in flight. A chunk is read, then written from the same buffer at
 * the same offset. The open files take turns to use a fixed number of chunks. */
#include "caio-cp.h"

enum { CHUNK = 128 * 1024, ALIGNMENT = 4096 };

struct chunk {
    struct request request;
    struct chunk *next_free;
    struct item *item;
    char *data;
    uint64_t offset;
    uint32_t wanted, have;
    bool direct; /* whether it was submitted with O_DIRECT */
};

static struct chunk *chunks, *free_chunks;
static struct item *hungry, **hungry_end = &hungry;

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
    item->next_hungry = NULL;
    *hungry_end = item;
    hungry_end = &item->next_hungry;
}

static struct item *take_hungry(void)
{
    struct item *item = hungry;
    hungry = item->next_hungry;
    if (!hungry)
        hungry_end = &hungry;
    item->hungry = false;
    return item;
}

/* Not at open(2): a file system without O_DIRECT fails there, but has already created the file. */
static bool set_direct(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
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
    if (options.direct)
        use_direct(item, true);
    make_hungry(item);
}

/* In a sparse file, skips to the next data. Returns false if there is none. */
static bool skip_hole(struct item *item)
{
    off_t data, hole;
    if (item->next < item->extent_end)
        return true;
    data = lseek(item->fd[SOURCE], (off_t)item->next, SEEK_DATA);
    if (data < 0 && errno == ENXIO) { /* a hole up to the end */
        copied.bytes += item->size > item->next ? item->size - item->next : 0;
        if (item->end_of_file > item->size)
            item->end_of_file = item->size;
        return false;
    }
    item->extent_end = UINT64_MAX;
    if (data < 0) /* the file system does not support SEEK_DATA */
        return true;
    hole = lseek(item->fd[SOURCE], data, SEEK_HOLE);
    data -= data % ALIGNMENT;
    if ((uint64_t)data > item->next) {
        copied.bytes += (uint64_t)data - item->next;
        item->next = (uint64_t)data;
    }
    if (hole > 0 && (uint64_t)hole < item->size)
        item->extent_end = ((uint64_t)hole + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return true;
}

/* Sets the next range to read; returns false if there is none. Reading goes on until a read is short, so that files that
 * grow, or that report no size (as in /proc), are copied in full. */
static bool next_range(struct item *item, struct chunk *chunk)
{
    uint64_t left;
    if (item->failed || interrupted || item->next > item->size || item->next >= item->end_of_file)
        return false;
    if (item->sparse && !skip_hole(item))
        return false;
    left = item->sparse ? item->extent_end - item->next : CHUNK;
    chunk->offset = item->next;
    chunk->wanted = left < CHUNK ? (uint32_t)left : CHUNK;
    chunk->have = 0;
    item->next += chunk->wanted;
    return true;
}

static void start_chunk(struct item *item)
{
    struct chunk *chunk = free_chunks;
    if (!next_range(item, chunk)) {
        if (item->chunks == 0)
            item_data_over(item);
        return;
    }
    free_chunks = chunk->next_free;
    if (!chunk->data)
        chunk->data = checked_alloc(aligned_alloc(ALIGNMENT, CHUNK));
    chunk->item = item;
    item->chunks++;
    make_hungry(item);
    read_more(chunk);
}

void data_feed(void)
{
    while (hungry && free_chunks)
        start_chunk(take_hungry());
}

static void chunk_over(struct chunk *chunk)
{
    struct item *item = chunk->item;
    chunk->next_free = free_chunks;
    free_chunks = chunk;
    item->chunks--;
    if (item->chunks == 0 && !item->hungry)
        item_data_over(item);
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
    if (!item->hungry)
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
    if (chunk->have == 0 || item->failed || (item->sparse && is_zero(chunk->data, chunk->have))) {
        copied.bytes += chunk->have;
        chunk_over(chunk);
    } else
        write_out(chunk);
}

static void read_more(struct chunk *chunk)
{
    struct item *item = chunk->item;
    caio_op op = fd_op(CAIO_OP_READ, item->fd[SOURCE]);
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
    copied.bytes += chunk->have;
    chunk_over(chunk);
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
